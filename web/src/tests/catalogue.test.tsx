import { render, screen } from "@testing-library/react";
import { expect, test } from "vitest";
import { I18n, useTexts } from "../i18n";
import { en, type Key } from "../i18n/en";
import { ja } from "../i18n/ja";

const holes = (text: string) => [...text.matchAll(/\{\w+\}/g)].map(([hole]) => hole).sort();

test("each text takes the same values in both languages", () => {
  const wrong = (Object.keys(en) as Key[]).filter((key) => `${holes(en[key])}` !== `${holes(ja[key])}`);
  expect(wrong).toEqual([]);
});

function Sample() {
  const { t, of } = useTexts();
  return (
    <p>
      {t("events.count", { shown: 3, all: 7 })} {of("status", "COMPLETED")} {of("status", "NEW_ONE")}
    </p>
  );
}

test("values are filled in, and what has no text is shown as it is", async () => {
  render(
    <I18n initial="en">
      <Sample />
    </I18n>,
  );
  expect(await screen.findByText("3 of 7 Completed NEW_ONE")).toBeTruthy();
});

test("the second language is loaded when it is wanted", async () => {
  render(
    <I18n initial="ja">
      <Sample />
    </I18n>,
  );
  expect(await screen.findByText("7 件中 3 件 完了 NEW_ONE")).toBeTruthy();
});
