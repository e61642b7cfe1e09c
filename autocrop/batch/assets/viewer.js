/** The dialog that shows a crop next to its whole photo. */

import { CROP_SELECTOR, readCrop, visibleCropRows } from "./crops.js";
import { createElement } from "./dom.js";
import { fitFrame, place } from "./placement.js";

const dialog = document.querySelector("dialog");
const photoFrame = document.querySelector("#whole");
const cropFrame = document.querySelector("#crop");

/** List item of the crop that the dialog shows, or showed last. */
let currentRow = null;

/** Opens the viewer on clicks and connects its buttons. */
export function setUpViewer() {
  document.addEventListener("click", handleClick);
  document.querySelector("#back").addEventListener("click", () => showNeighbor(-1));
  document.querySelector("#next").addEventListener("click", () => showNeighbor(1));
  document.querySelector("#close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", returnToPage);
}

export function isViewerOpen() {
  return dialog.open;
}

/** Shows the crop of a list item, opening the viewer if it is closed. */
export function showCrop(row) {
  currentRow = row;
  const crop = readCrop(row);
  showPhoto(crop);
  showPreview(crop);
  if (crop.outputUrl) {
    showOutputOnceLoaded(row, crop.outputUrl);
  }
  const photoName = row.closest("article").querySelector("h2").textContent;
  document.querySelector("#about").textContent = `${photoName} — ${row.textContent}`;
  if (!dialog.open) {
    dialog.showModal();
  }
}

/** Shows the crop `offset` places after the current one, skipping crops that are filtered out. */
export function showNeighbor(offset) {
  const rows = visibleCropRows();
  const neighbor = rows[rows.indexOf(currentRow) + offset];
  if (neighbor) {
    showCrop(neighbor);
  }
}

function showPhoto(crop) {
  const image = createImage("The whole photo", crop.thumbnailUrl);
  const box = createElement("i", { className: `box ${crop.colorClass}` });
  box.classList.toggle("circle", crop.isCircle);
  place(box, crop.box, crop.photo);
  photoFrame.replaceChildren(image, box);
  fitFrame(photoFrame, crop.photo);
  showOriginalOnceLoaded(image, crop.photoUrl);
}

/** Shows the crop as a part of the thumbnail, which needs no file. */
function showPreview({ box, boxInOutput, isCircle, output, photo, thumbnailUrl }) {
  const image = createImage("The crop", thumbnailUrl);
  place(image, { left: -box.left, top: -box.top, ...photo }, box);
  const clip = createElement("div", { className: "clip" }, image);
  place(clip, boxInOutput, output);
  cropFrame.replaceChildren(clip);
  cropFrame.classList.toggle("circle", isCircle);
  fitFrame(cropFrame, output);
}

/**
 * Replaces the preview with the output once it has loaded. If the file is gone, the preview stays.
 * If the viewer shows another crop by then, nothing happens.
 */
function showOutputOnceLoaded(row, outputUrl) {
  const image = createImage("The crop");
  image.addEventListener("load", () => {
    if (currentRow === row) {
      cropFrame.replaceChildren(image);
    }
  });
  image.src = outputUrl;
}

/**
 * Replaces a thumbnail with the photo on disk once it has loaded. If the file is gone or is in a
 * format that the browser cannot show, the thumbnail stays.
 */
function showOriginalOnceLoaded(image, photoUrl) {
  if (!photoUrl) {
    return;
  }
  const original = new Image();
  original.addEventListener("load", () => {
    if (image.isConnected) {
      image.src = original.src;
    }
  });
  original.src = photoUrl;
}

/** Creates an image. Without a URL it has no `src`, as browsers show an empty one as broken. */
function createImage(alt, url) {
  return createElement("img", url ? { alt, src: url } : { alt });
}

function handleClick({ target }) {
  if (target.closest("a")) {
    return;
  }
  const row = clickedCropRow(target);
  if (row && !dialog.contains(target)) {
    showCrop(row);
  } else if (target === dialog) {
    dialog.close(); // a click on the backdrop
  }
}

/** Returns the row that was clicked, or the first visible row of the thumbnail that was clicked. */
function clickedCropRow(target) {
  const card = target.closest(".view")?.parentElement;
  return target.closest(CROP_SELECTOR) ?? card?.querySelector(`${CROP_SELECTOR}:not([hidden])`);
}

/**
 * Focuses the crop that was shown last. The browser would focus the one that opened the dialog,
 * which may be far away after some steps.
 */
function returnToPage() {
  currentRow?.focus();
  currentRow?.closest("article").scrollIntoView({ block: "nearest" });
}
