/** The gateway's calls, typed by its OpenAPI document. A failure is a `Failure` with the problem document's text. */
import createClient from "openapi-fetch";
import type { components, paths } from "./schema";

type Schemas = components["schemas"];
export type Money = Schemas["Money"];
export type Product = Schemas["Product"];
export type OrderDocument = Schemas["StatusDocument"];
export type OrderSummary = Schemas["OrderSummary"];
export type Saga = Schemas["Saga"];
export type SagaTable = Schemas["SagaTable"];
export type SagaRow = Schemas["SagaRow"];
export type ShopEvent = Schemas["Event"];
export type Dashboard = Schemas["Dashboard"];
export type Process = Schemas["Process"];
export type DeadLetter = Schemas["DeadLetter"];
type Schema = Schemas["Problem"];
/** The gateway leaves out what there is not. */
export type Problem = Pick<Schema, "type" | "title" | "status" | "detail"> & Partial<Schema>;

export const api = createClient<paths>({ baseUrl: location.origin, fetch: (request) => fetch(request) });

export class Failure extends Error {
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(problem.detail);
    this.problem = problem;
  }
}

interface Answer<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** The answer's data. Throws a Failure, also where the gateway itself does not answer. */
export async function asked<T>(answer: Promise<Answer<T>>): Promise<T> {
  let got: Answer<T>;
  try {
    got = await answer;
  } catch {
    throw new Failure(unreachable());
  }
  if (got.response.ok) return got.data as T;
  const problem = got.error as Problem | undefined;
  throw new Failure(
    problem && typeof problem === "object" && "detail" in problem
      ? problem
      : { ...unreachable(), status: got.response.status, detail: `HTTP ${got.response.status}` },
  );
}

function unreachable(): Problem {
  return { type: "unreachable", title: "unreachable", status: 599, detail: "unreachable" };
}
