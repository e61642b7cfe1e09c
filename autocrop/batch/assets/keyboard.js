import { CROP_SELECTOR } from "./crops.js";
import { findAll } from "./dom.js";
import { isViewerOpen, showCrop, showNeighbor } from "./viewer.js";

/** Arrow keys that step through the crops. The browser itself closes the dialog on Esc. */
const STEPS = { ArrowLeft: -1, ArrowRight: 1 };

/** Keys that press a button; a list item with `role="button"` has to handle them itself. */
const PRESS_KEYS = ["Enter", " "];

/** Makes crops reachable with Tab and handles the keys that open them and step through them. */
export function setUpKeyboard() {
  for (const row of findAll(CROP_SELECTOR)) {
    row.tabIndex = 0;
    row.setAttribute("role", "button");
  }
  window.addEventListener("keydown", (event) => {
    if (isViewerOpen()) {
      handleViewerKey(event);
    } else {
      handlePageKey(event);
    }
  });
}

function handleViewerKey(event) {
  const step = STEPS[event.key];
  if (step) {
    event.preventDefault();
    showNeighbor(step);
  }
}

function handlePageKey(event) {
  if (PRESS_KEYS.includes(event.key) && event.target.matches(CROP_SELECTOR)) {
    event.preventDefault(); // the space bar would scroll the page
    showCrop(event.target);
  }
}
