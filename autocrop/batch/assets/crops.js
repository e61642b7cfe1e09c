/**
 * The crops on the page. Each photo is an `article` with a list item for each of its crops, whose
 * data attributes sheet_card.py writes. Items without a `data-box`, such as failures, have no
 * crop to show.
 */

import { findAll } from "./dom.js";

export const CROP_SELECTOR = "li[data-box]";

/**
 * A crop. All lengths are in pixels of the photo; sizes that the output is scaled to are left out.
 *
 * @typedef {object} Crop
 * @property {{width: number, height: number}} photo
 * @property {{left: number, top: number, width: number, height: number}} box Part of the photo.
 * @property {{width: number, height: number}} output The box with the padding of `--fit` around it.
 * @property {{left: number, top: number, width: number, height: number}} boxInOutput
 * @property {boolean} isCircle
 * @property {string} colorClass Class that sets the color of this kind of crop.
 * @property {string|undefined} thumbnailUrl The embedded preview of the whole photo.
 * @property {string|undefined} photoUrl The photo on disk.
 * @property {string|undefined} outputUrl The written crop; undefined after a dry run.
 */

/**
 * Reads what the page knows about a crop.
 *
 * @param {HTMLElement} row
 * @returns {Crop}
 */
export function readCrop(row) {
  const card = row.closest("article");
  const [left, top, right, bottom] = parseNumbers(row.dataset.box);
  const [photoWidth, photoHeight] = parseNumbers(row.dataset.photo);
  const [padLeft, padTop, padRight, padBottom] = parseNumbers(row.dataset.padding);
  const width = right - left;
  const height = bottom - top;
  return {
    photo: { width: photoWidth, height: photoHeight },
    box: { left, top, width, height },
    output: { width: padLeft + width + padRight, height: padTop + height + padBottom },
    boxInOutput: { left: padLeft, top: padTop, width, height },
    isCircle: row.dataset.shape === "circle",
    colorClass: row.querySelector("b")?.className || "c0",
    thumbnailUrl: card.querySelector("img")?.src,
    photoUrl: card.dataset.src,
    outputUrl: row.dataset.out,
  };
}

/** Crops that the filters leave on the page, in page order. */
export function visibleCropRows() {
  return findAll(CROP_SELECTOR).filter((row) => !row.hidden && !row.closest("article").hidden);
}

function parseNumbers(text) {
  return text.split(",").map(Number);
}
