"use strict";
// Shared by the pages: elements by id, requests with the API key of this tab, errors as text.

const byId = (id) => document.getElementById(id);

function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined && text !== null) made.textContent = text;
  if (className) made.className = className;
  return made;
}

// A drawing of the service as an element of the page.
function importedSvg(text, label) {
  const svg = new DOMParser().parseFromString(text, "image/svg+xml").documentElement;
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", label);
  return document.importNode(svg, true);
}

class Refused extends Error {
  constructor(status, error) {
    super(error.what);
    this.status = status;
    this.where = error.where;
    this.hint = error.hint;
  }
}

async function request(path, body, signal) {
  const headers = {};
  const key = sessionStorage.getItem("mammal-key");
  if (key) headers.Authorization = `Bearer ${key}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const options = { headers, method: body === undefined ? "GET" : "POST", signal };
  if (body !== undefined) options.body = JSON.stringify(body);
  const answer = await fetch(path, options);
  const text = await answer.text();
  let content = {};
  try {
    content = JSON.parse(text);
  } catch {
    content = { error: { what: `status ${answer.status}`, hint: null } };
  }
  if (!answer.ok) throw new Refused(answer.status, content.error || { what: `status ${answer.status}` });
  return content;
}
