/**
 * The filters in the page's header. A script adds them because the header is written before the
 * first photo, when the statuses and labels of the batch are not known yet.
 */

import { CROP_SELECTOR } from "./crops.js";
import { createElement, findAll } from "./dom.js";

/** Adds filters for the photos on the page. */
export function setUpFilters() {
  const cards = findAll("article").map(readCard);
  const statusBoxes = createStatusBoxes(cards);
  const labelSelect = createLabelSelect(cards);
  const searchField = createSearchField();

  const tools = document.querySelector("#tools");
  tools.append(...statusBoxes.map(({ label }) => label));
  if (labelSelect.length > 2) {
    tools.append(labelSelect); // with a single label, "all crops" and that label are the same
  }
  tools.append(searchField);

  tools.addEventListener("input", () => {
    const checked = statusBoxes.filter(({ checkbox }) => checkbox.checked);
    applyFilter(cards, {
      statuses: new Set(checked.map(({ checkbox }) => checkbox.value)),
      label: labelSelect.value,
      words: searchField.value.toLowerCase().split(/\s+/).filter(Boolean),
    });
  });
  showCount(cards.length, cards.length);
}

/** Reads a card once, so that typing does not search the document again for each letter. */
function readCard(article) {
  return {
    article,
    statuses: article.dataset.status.split(" "),
    labels: article.dataset.label.split(" ").filter(Boolean),
    text: article.textContent.toLowerCase(),
  };
}

function createStatusBoxes(cards) {
  const counts = new Map();
  for (const status of cards.flatMap((card) => card.statuses)) {
    counts.set(status, (counts.get(status) ?? 0) + 1);
  }
  return [...counts].map(([status, count]) => createStatusBox(status, count));
}

function createStatusBox(status, count) {
  const checkbox = createElement("input", { type: "checkbox", name: "status", value: status });
  checkbox.checked = true;
  return { checkbox, label: createElement("label", {}, checkbox, `${status} (${count})`) };
}

function createLabelSelect(cards) {
  const labels = new Set(cards.flatMap((card) => card.labels));
  const select = createElement("select", { id: "label" }, new Option("all crops", ""));
  select.append(...[...labels].map((label) => new Option(label, label)));
  select.setAttribute("aria-label", "Kind of crop");
  return select;
}

function createSearchField() {
  const prompt = "Filter by text";
  const field = createElement("input", { type: "search", id: "text", placeholder: prompt });
  field.setAttribute("aria-label", prompt);
  return field;
}

function applyFilter(cards, filter) {
  for (const card of cards) {
    card.article.hidden = !matchesFilter(card, filter);
    showOnlyLabel(card.article, filter.label);
  }
  showCount(cards.filter((card) => !card.article.hidden).length, cards.length);
}

function matchesFilter(card, { statuses, label, words }) {
  return (
    card.statuses.some((status) => statuses.has(status)) &&
    (!label || card.labels.includes(label)) &&
    words.every((word) => card.text.includes(word))
  );
}

/**
 * Hides a photo's crops that have another label; an empty label shows all of them. Rows without a
 * label, such as the one of a photo that cannot be read, stay.
 */
function showOnlyLabel(article, label) {
  for (const row of findAll("li", article)) {
    const rowLabel = row.querySelector("b")?.textContent;
    row.hidden = Boolean(label && rowLabel !== undefined && rowLabel !== label);
  }
  // Boxes over the thumbnail come in the order of the rows that have crops.
  const boxes = findAll(".box", article);
  for (const [index, row] of findAll(CROP_SELECTOR, article).entries()) {
    boxes[index]?.toggleAttribute("hidden", row.hidden);
  }
}

function showCount(shown, total) {
  const photos = total === 1 ? "1 photo" : `${total} photos`;
  document.querySelector("#count").textContent = shown < total ? `${shown} of ${photos}` : photos;
  document.querySelector("#empty").hidden = shown > 0 || total === 0;
}
