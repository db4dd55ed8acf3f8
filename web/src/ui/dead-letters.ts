/** Dead letters, asked for again by themselves; none where this gateway does not operate the shop. */
import { useQuery } from "@tanstack/react-query";
import { api, asked } from "../api/client";
import { useCanOperate } from "../api/hooks";

export type LetterStatus = "open" | "replayed" | "discarded";

export const useDeadLetters = (status: LetterStatus) =>
  useQuery({
    queryKey: ["dead-letters", status],
    queryFn: () => asked(api.GET("/admin/dead-letters", { params: { query: { status } } })),
    refetchInterval: 2_000,
    enabled: useCanOperate(),
  });
