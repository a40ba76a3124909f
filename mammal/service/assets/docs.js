"use strict";
// Lists the routes of openapi.json with their fields and examples.

async function start() {
  try {
    show(await request("/openapi.json"));
    byId("key-form").hidden = true;
  } catch (error) {
    byId("about").textContent = error.message;
    byId("key-form").hidden = error.status !== 401;
  }
}

function show(api) {
  byId("about").textContent = api.info.description.replaceAll("`", "");
  const routes = Object.entries(api.paths).flatMap(([path, methods]) => Object.entries(methods).map((one) => [path, ...one]));
  const ordered = [...routes.filter((one) => one[1] === "post"), ...routes.filter((one) => one[1] !== "post")];
  byId("paths").replaceChildren(...ordered.map((one) => route(api, ...one)));
  const first = byId("paths").querySelector("details");
  if (first) first.open = true;
}

function route(api, path, method, one) {
  const box = element("details");
  const title = element("summary");
  title.append(element("code", `${method.toUpperCase()} ${path}`), element("span", `  ${one.description || one.summary || ""}`, "soft"));
  box.append(title);
  const content = one.requestBody && one.requestBody.content["application/json"];
  if (!content) return box;
  box.append(fields(api, content.schema));
  for (const [name, example] of Object.entries(content.examples || {})) {
    box.append(element("h3", name), element("pre", curl(path, example.value)));
    const answers = one.responses["200"].content["application/json"].examples || {};
    if (answers[name]) box.append(element("pre", JSON.stringify(answers[name].value, null, 1)));
  }
  return box;
}

function fields(api, schema) {
  const found = schema.$ref ? api.components.schemas[schema.$ref.split("/").pop()] : schema;
  const table = element("table");
  const body = element("tbody");
  for (const [name, field] of Object.entries(found.properties || {})) {
    const line = element("tr");
    const cell = element("td");
    cell.append(element("code", name));
    line.append(cell, element("td", field.description || ""), element("td", "default" in field ? JSON.stringify(field.default) : "required", "soft"));
    body.append(line);
  }
  table.append(body);
  const scroll = element("div", null, "scroll");
  scroll.append(table);
  return scroll;
}

function curl(path, value) {
  const body = JSON.stringify(value).replaceAll("'", "'\\''");
  return `curl ${location.origin}${path} -H 'Content-Type: application/json' -d '${body}'`;
}

byId("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("mammal-key", byId("key").value);
  start();
});
start();
