/** Window width in pixels below which the style sheet puts the viewer's frames below each other. */
const STACKED_BELOW = 640;

/** Largest share of the window's height for one frame; the rest is for the bar and captions. */
const FRAME_SHARE = 0.7;
const STACKED_FRAME_SHARE = 0.36;

/**
 * Gives a frame the aspect ratio of its content and as much room as the window has.
 *
 * This sets the width rather than the height, so that a frame keeps its aspect ratio where its
 * column is narrower.
 *
 * @param {HTMLElement} frame
 * @param {{width: number, height: number}} content
 */
export function fitFrame(frame, { width, height }) {
  const share = window.innerWidth < STACKED_BELOW ? STACKED_FRAME_SHARE : FRAME_SHARE;
  const widest = Math.round((window.innerHeight * share * width) / height);
  frame.style.aspectRatio = `${width}/${height}`;
  frame.style.width = `min(100%, ${widest}px)`;
}

/**
 * Positions an absolutely positioned element in percent, so that it scales with its container.
 *
 * @param {HTMLElement} element
 * @param {{left: number, top: number, width: number, height: number}} rectangle
 * @param {{width: number, height: number}} container In the same units.
 */
export function place(element, { left, top, width, height }, container) {
  element.style.left = `${(100 * left) / container.width}%`;
  element.style.top = `${(100 * top) / container.height}%`;
  element.style.width = `${(100 * width) / container.width}%`;
  element.style.height = `${(100 * height) / container.height}%`;
}
