// A small keyed renderer: describe what should be there, and only what differs is touched. So a refresh keeps focus, scroll
// positions, text selections and open parts, and nothing flickers. Every text goes through a text node, never through HTML.

const SVG = "http://www.w3.org/2000/svg";
/** What of a node is set as a property: the attribute of that name is only its first value. */
const PROPERTIES = new Set(["value", "checked", "disabled", "hidden", "open", "selected", "indeterminate"]);
const known = new WeakMap();

/**
 * Describes an element.
 * @param {string} tag "div", "svg", …
 * @param {object|null} props attributes; `key` among siblings; `on: {click: …}`; `style: {"--x": "1"}`; `own: true` leaves the
 *   children to others.
 */
export function h(tag, props, ...children) {
  return { tag, props: props ?? {}, children: children.flat(Infinity).filter((child) => child != null && child !== false) };
}

/** Makes the children of `parent` what `children` describe. */
export function render(parent, ...children) {
  patchChildren(parent, h("", null, ...children).children);
}

function patchChildren(parent, wanted) {
  const keyed = new Map();
  const loose = [];
  for (const node of parent.childNodes) {
    const key = known.get(node)?.key;
    if (key === undefined) loose.push(node);
    else keyed.set(key, node);
  }
  const nodes = wanted.map((child) => match(child, keyed, loose) ?? create(child, parent));
  // What goes goes first: else all that follows it would be moved before it, and what is moved loses focus and scroll position.
  const staying = new Set(nodes);
  for (const node of [...parent.childNodes]) if (!staying.has(node)) node.remove();
  let next = parent.firstChild;
  for (const [index, node] of nodes.entries()) {
    if (node === next) next = next.nextSibling;
    else parent.insertBefore(node, next);
    patch(node, wanted[index]);
  }
}

function match(child, keyed, loose) {
  if (typeof child !== "object") return take(loose, (node) => node.nodeType === Node.TEXT_NODE);
  const { key } = child.props;
  if (key === undefined) return take(loose, (node) => known.get(node)?.tag === child.tag);
  const node = keyed.get(key);
  return node && known.get(node).tag === child.tag ? node : null;
}

function take(nodes, wanted) {
  const index = nodes.findIndex(wanted);
  return index < 0 ? null : nodes.splice(index, 1)[0];
}

function create(child, parent) {
  if (typeof child !== "object") return document.createTextNode("");
  const isSvg = child.tag === "svg" || (parent.namespaceURI === SVG && parent.localName !== "foreignObject");
  const node = isSvg ? document.createElementNS(SVG, child.tag) : document.createElement(child.tag);
  known.set(node, { tag: child.tag, key: child.props.key, props: {}, handlers: {} });
  return node;
}

function patch(node, child) {
  if (typeof child !== "object") {
    const text = String(child);
    if (node.data !== text) node.data = text;
    return;
  }
  const memory = known.get(node);
  const isNew = !memory.isMounted;
  memory.isMounted = true;
  patchHandlers(node, memory, child.props.on ?? {});
  for (const name of new Set([...Object.keys(memory.props), ...Object.keys(child.props)])) {
    const value = child.props[name];
    if (name === "style") patchStyle(node, memory.props.style ?? {}, value ?? {});
    else if (!["key", "on", "own", "value"].includes(name) && memory.props[name] !== value) set(node, name, value);
  }
  memory.props = child.props;
  if (!child.props.own) patchChildren(node, child.children);
  // A select has its value only once its options are there; what is being typed is left alone.
  if ("value" in child.props && node.value !== child.props.value && (isNew || node !== document.activeElement || node.localName === "select")) {
    node.value = child.props.value;
  }
}

function set(node, name, value) {
  if (PROPERTIES.has(name)) node[name] = value ?? false;
  else if (value == null || value === false) node.removeAttribute(name);
  else node.setAttribute(name, value === true ? "" : value);
}

function patchStyle(node, before, after) {
  for (const name of new Set([...Object.keys(before), ...Object.keys(after)])) {
    if (before[name] !== after[name]) node.style.setProperty(name, after[name] ?? "");
  }
}

function patchHandlers(node, memory, handlers) {
  for (const name of Object.keys(handlers)) {
    if (!(name in memory.handlers)) node.addEventListener(name, (event) => memory.handlers[name]?.(event));
  }
  for (const name of Object.keys(memory.handlers)) memory.handlers[name] = handlers[name];
  Object.assign(memory.handlers, handlers);
}
