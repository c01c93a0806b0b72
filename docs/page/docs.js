// The documentation page: lists the calls of /openapi.json and lets a person try them. What comes
// from outside goes in as text, never as markup.

const METHODS = ["get", "post", "put", "patch", "delete"];
const SHOWN_CHARACTERS = 200000;

/** An element with attributes and children; texts become text nodes. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== undefined) element.setAttribute(name, String(value));
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Text in which `code` stands between backticks. */
function prose(tag, text, attributes = {}) {
  const parts = String(text ?? "").split("`");
  return make(tag, attributes, ...parts.map((part, i) => (i % 2 ? make("code", {}, part) : part)));
}

/** Follows a $ref inside the document. */
function resolved(spec, thing) {
  let at = thing;
  for (let steps = 0; at && at.$ref && steps < 20; steps++) {
    at = at.$ref
      .slice(2)
      .split("/")
      .reduce((part, key) => part?.[key.replaceAll("~1", "/").replaceAll("~0", "~")], spec);
  }
  return at ?? {};
}

/** What a schema says in a few words: "integer, 1 to 1000, default 100". */
function schemaWords(schema) {
  const words = [];
  if (schema.enum) words.push(`one of ${schema.enum.join(", ")}`);
  else if (schema.type) words.push([].concat(schema.type).join(" or "));
  if (schema.minimum !== undefined && schema.maximum !== undefined)
    words.push(`${schema.minimum} to ${schema.maximum}`);
  else if (schema.minimum !== undefined) words.push(`at least ${schema.minimum}`);
  if (schema.default !== undefined) words.push(`default ${JSON.stringify(schema.default)}`);
  return words.join(", ");
}

/** A schema with its references put in, for showing; what refers to itself is named. */
function wholeSchema(spec, schema, inside = []) {
  if (Array.isArray(schema)) return schema.map((part) => wholeSchema(spec, part, inside));
  if (schema === null || typeof schema !== "object") return schema;
  if (schema.$ref) {
    if (inside.includes(schema.$ref)) return { see: schema.$ref.split("/").pop() };
    return wholeSchema(spec, resolved(spec, schema), [...inside, schema.$ref]);
  }
  return Object.fromEntries(
    Object.entries(schema).map(([key, part]) => [key, wholeSchema(spec, part, inside)]),
  );
}

function firstContent(thing) {
  return Object.entries(thing.content ?? {})[0] ?? [null, {}];
}

function parameterField(parameter, id) {
  const schema = parameter.schema ?? {};
  let field;
  if (schema.enum || schema.type === "boolean") {
    field = make("select", { id });
    field.append(make("option", { value: "" }, parameter.required ? "choose…" : "not sent"));
    for (const value of schema.enum ?? ["true", "false"])
      field.append(make("option", { value }, String(value)));
  } else {
    field = make("input", {
      id,
      type: "text",
      inputmode: schema.type === "integer" ? "numeric" : "text",
      autocomplete: "off",
      spellcheck: "false",
      placeholder: schema.default === undefined ? undefined : String(schema.default),
    });
    if (parameter.in === "path" && parameter.example !== undefined)
      field.placeholder = String(parameter.example);
  }
  if (parameter.required) field.setAttribute("required", "");
  field.setAttribute("aria-describedby", `${id}-hint`);
  const label = `${parameter.name} (${parameter.in}${parameter.required ? ", required" : ""})`;
  const hint = prose("p", parameter.description, { class: "hint", id: `${id}-hint` });
  const words = schemaWords(schema);
  if (words) hint.append(` ${words[0].toUpperCase()}${words.slice(1)}.`);
  return { box: make("div", { class: "parameter" }, make("label", { for: id }, label), hint, field), field };
}

/** The request as the form says: address and options for fetch. */
function requestOf(call) {
  let path = call.path;
  const query = new URLSearchParams();
  const headers = {};
  for (const { parameter, field } of call.fields) {
    const value = field.value;
    if (parameter.in === "path")
      path = path.replace(`{${parameter.name}}`, encodeURIComponent(value).replaceAll("%7E", "~"));
    else if (value === "" && !parameter.required) continue;
    else if (parameter.in === "query") query.append(parameter.name, value);
    else if (parameter.in === "header") headers[parameter.name] = value;
  }
  const key = document.getElementById("key").value.trim();
  const token = document.getElementById("token").value.trim();
  if (key) headers.Authorization = `Bearer ${key}`;
  if (token) headers["Penstock-Token"] = token;
  const options = { method: call.method.toUpperCase(), headers, redirect: "manual" };
  if (call.body && call.body.value.trim() !== "") {
    options.body = call.body.value;
    headers["Content-Type"] = "application/json";
  }
  const asked = query.toString();
  return { address: asked ? `${path}?${asked}` : path, options };
}

function shellQuoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** The same call for a shell, without secrets. */
function curlLine({ address, options }) {
  const parts = ["curl", "-i"];
  if (options.method !== "GET") parts.push("-X", options.method);
  for (const [name, value] of Object.entries(options.headers)) {
    if (name === "Authorization") parts.push("-H", '"Authorization: Bearer $PENSTOCK_KEY"');
    else if (name === "Penstock-Token") parts.push("-H", '"Penstock-Token: $PENSTOCK_TOKEN"');
    else parts.push("-H", shellQuoted(`${name}: ${value}`));
  }
  if (options.body !== undefined) parts.push("-d", shellQuoted(options.body));
  parts.push(shellQuoted(new URL(address, location.href).href));
  return parts.join(" ");
}

function pretty(text, type) {
  if (!type.includes("json") || text.length > SHOWN_CHARACTERS) return text;
  try {
    // Parsing may change numbers of many digits: then the text is shown as it came.
    const laidOut = JSON.stringify(JSON.parse(text), null, 2);
    const same = JSON.stringify(JSON.parse(text)).length === text.replace(/\s+$/, "").length;
    return same || !/\d{16}/.test(text) ? laidOut : text;
  } catch {
    return text;
  }
}

function headerTable(headers) {
  const rows = [...headers].map(([name, value]) =>
    make("tr", {}, make("th", { scope: "row" }, name), make("td", {}, value)),
  );
  return make("table", {}, make("caption", {}, "Headers"), make("tbody", {}, ...rows));
}

/** Reads a body as it comes, into `show`; long ones are cut. */
async function readBody(response, show) {
  if (!response.body) return;
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) break;
    text += value;
    if (text.length > SHOWN_CHARACTERS) {
      await reader.cancel();
      show(`${text.slice(0, SHOWN_CHARACTERS)}\n… the rest is not shown`);
      return;
    }
    show(text);
  }
  const type = response.headers.get("Content-Type") ?? "";
  show(pretty(text, type));
}

async function send(call) {
  const request = requestOf(call);
  call.stop = new AbortController();
  call.sendButton.disabled = true;
  call.stopButton.disabled = false;
  const status = make("p", { class: "status" }, "Waiting for the answer…");
  const body = make("pre", { tabindex: "0", "aria-label": "Body of the answer" });
  const details = make("div");
  call.answer.replaceChildren(
    make("h3", {}, "Answer"),
    status,
    details,
    body,
    make("h3", {}, "The same from a shell"),
    make("pre", { tabindex: "0", "aria-label": "Command" }, curlLine(request)),
  );
  const began = performance.now();
  try {
    const response = await fetch(request.address, { ...request.options, signal: call.stop.signal });
    const took = Math.round(performance.now() - began);
    status.textContent = `${response.status} ${response.statusText}, after ${took} ms`;
    status.classList.add(response.status < 400 ? "good" : "bad");
    details.replaceChildren(headerTable(response.headers));
    await readBody(response, (text) => {
      body.textContent = text;
    });
    if (body.textContent === "") body.textContent = "(no body)";
  } catch (error) {
    if (error.name === "AbortError") status.textContent += " (stopped)";
    else {
      status.textContent = `No answer: ${error.message}`;
      status.classList.add("bad");
    }
  } finally {
    call.sendButton.disabled = false;
    call.stopButton.disabled = true;
  }
}

function responseTable(spec, operation) {
  const rows = Object.entries(operation.responses ?? {}).map(([status, reference]) => {
    const response = resolved(spec, reference);
    const [type, content] = firstContent(response);
    const cell = make("td", {}, prose("span", response.description));
    if (type) cell.append(make("br"), make("code", {}, type));
    if (content.schema) {
      const schema = JSON.stringify(wholeSchema(spec, content.schema), null, 2);
      const shown = make("details", {}, make("summary", {}, "Schema"));
      shown.append(make("pre", { tabindex: "0", "aria-label": `Schema of ${status}` }, schema));
      cell.append(shown);
    }
    return make("tr", {}, make("th", { scope: "row" }, status), cell);
  });
  return make("table", {}, make("caption", {}, "Answers"), make("tbody", {}, ...rows));
}

function bodyField(spec, operation, id) {
  const [type, content] = firstContent(resolved(spec, operation.requestBody ?? {}));
  if (!type) return { box: null, field: null };
  const field = make("textarea", { id, spellcheck: "false", autocomplete: "off" });
  if (content.example !== undefined) field.value = JSON.stringify(content.example, null, 2);
  const schema = JSON.stringify(wholeSchema(spec, content.schema ?? {}), null, 2);
  const shown = make("details", {}, make("summary", {}, "Schema of the body"));
  shown.append(make("pre", { tabindex: "0", "aria-label": "Schema of the body" }, schema));
  return { box: make("div", {}, make("label", { for: id }, `Body (${type})`), field, shown), field };
}

function operationElement(spec, path, method, operation, shared) {
  const id = operation.operationId;
  const call = { path, method, fields: [] };
  const form = make("form", { "aria-label": `Try ${operation.summary}` });
  for (const reference of [...shared, ...(operation.parameters ?? [])]) {
    const parameter = resolved(spec, reference);
    // The page has one field for it, above.
    if (parameter.in === "header" && parameter.name === "Penstock-Token") continue;
    const { box, field } = parameterField(parameter, `${id}-${parameter.in}-${parameter.name}`);
    call.fields.push({ parameter, field });
    form.append(box);
  }
  const { box, field } = bodyField(spec, operation, `${id}-body`);
  call.body = field;
  if (box) form.append(box);
  call.sendButton = make("button", { type: "submit" }, "Send");
  call.stopButton = make("button", { type: "button", class: "plain", disabled: true }, "Stop");
  call.answer = make("div", { class: "answer", "aria-live": "polite" });
  call.stopButton.addEventListener("click", () => call.stop?.abort());
  form.append(call.sendButton, call.stopButton);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send(call);
  });
  const summary = make(
    "summary",
    {},
    make("span", { class: "method" }, method.toUpperCase()),
    make("span", { class: "path" }, path),
    make("span", { class: "says" }, operation.summary ?? ""),
  );
  const inside = make("div", {}, prose("p", operation.description), make("h3", {}, "Try it"));
  inside.append(form, call.answer, responseTable(spec, operation));
  return make("details", { class: "operation", id }, summary, inside);
}

function operationsOf(spec) {
  const all = [];
  for (const [path, item] of Object.entries(spec.paths))
    for (const method of METHODS)
      if (item[method])
        all.push({ path, method, operation: item[method], shared: item.parameters ?? [] });
  return all;
}

function build(spec) {
  document.title = `${spec.info.title}: HTTP interface`;
  document.getElementById("title").textContent = `${spec.info.title} ${spec.info.version}`;
  document.getElementById("summary").textContent = spec.info.summary ?? "";
  const main = document.getElementById("operations");
  const contents = document.getElementById("contents");
  for (const part of (spec.info.description ?? "").split("\n\n"))
    document.getElementById("description").append(prose("p", part));
  const all = operationsOf(spec);
  for (const tag of spec.tags) {
    const list = make("ul");
    const section = make("section", { "aria-labelledby": `tag-${tag.name}` });
    section.append(make("h2", { id: `tag-${tag.name}` }, tag.name), prose("p", tag.description));
    for (const { path, method, operation, shared } of all) {
      if (!operation.tags?.includes(tag.name)) continue;
      section.append(operationElement(spec, path, method, operation, shared));
      const link = make("a", { href: `#${operation.operationId}` }, operation.summary);
      list.append(make("li", { "data-of": operation.operationId }, link));
    }
    main.append(section);
    contents.append(make("div", {}, make("h2", {}, tag.name), list));
  }
}

/** Opens the call that the address names and puts the focus there. */
function openNamed() {
  const named = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!named?.classList.contains("operation")) return;
  named.open = true;
  named.querySelector("summary").focus({ preventScroll: true });
  named.scrollIntoView();
}

/** Leaves only what has all words of the search field in it. */
function find() {
  const words = document.getElementById("find").value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const element of document.querySelectorAll("details.operation")) {
    const text = element.querySelector("summary").textContent.toLowerCase();
    element.hidden = !words.every((word) => text.includes(word));
    const entry = document.querySelector(`[data-of="${CSS.escape(element.id)}"]`);
    if (entry) entry.hidden = element.hidden;
  }
  for (const section of document.querySelectorAll("main section"))
    section.hidden = !section.querySelector("details.operation:not([hidden])");
  for (const group of document.querySelectorAll("#contents > div"))
    group.hidden = !group.querySelector("li:not([hidden])");
}

async function start() {
  try {
    const response = await fetch("/openapi.json");
    if (!response.ok) throw new Error(`the server answered ${response.status}`);
    build(await response.json());
  } catch (error) {
    const trouble = document.getElementById("trouble");
    trouble.textContent = `The document could not be read: ${error.message}`;
    trouble.hidden = false;
    return;
  }
  document.getElementById("find").addEventListener("input", find);
  for (const id of ["find-form", "key-form"])
    document.getElementById(id).addEventListener("submit", (event) => event.preventDefault());
  window.addEventListener("hashchange", openNamed);
  openNamed();
}

start();
