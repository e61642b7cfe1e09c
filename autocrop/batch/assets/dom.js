/**
 * Creates an element, sets its properties and appends its children.
 *
 * @param {string} tag
 * @param {object} [properties] Properties, not attributes: `className`, not `class`.
 * @param {...(Node|string)} children
 */
export function createElement(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/** Returns an array, because the NodeList of `querySelectorAll` has no `filter` or `map`. */
export function findAll(selector, root = document) {
  return [...root.querySelectorAll(selector)];
}
