"use strict";
// Opens the page on standard input as a browser does, with its own script, and does to it what people do. The steps come as
// JSON arguments, one each; what can be seen after each goes out as a line of JSON.
const { JSDOM } = require("jsdom");
const { readFileSync } = require("fs");

const page = readFileSync(0, "utf8");
const { window } = new JSDOM(page, { runScripts: "dangerously", url: "file:///options.html" });
const { document } = window;
const search = document.getElementById("search");

const press = (key) => {
  const target = document.activeElement || document.body;
  target.dispatchEvent(new window.KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
};
const steps = {
  type: (text) => {
    search.value = text;
    search.dispatchEvent(new window.Event("input", { bubbles: true }));
  },
  press,
  follow: (id) => {
    window.location.hash = id;
    // jsdom tells of it later, as browsers do.
    window.dispatchEvent(new window.Event("hashchange"));
  },
};
window.HTMLElement.prototype.scrollIntoView = function () {};

const seen = (element) => !element.closest("[hidden]");
for (const argument of process.argv.slice(1)) {
  const [verb, what] = JSON.parse(argument);
  steps[verb](what);
  const ids = (selector) => [...document.querySelectorAll(selector)].filter(seen).map((element) => element.id);
  console.log(JSON.stringify({
    modules: ids(".module"),
    options: ids(".option"),
    contents: [...document.querySelectorAll("nav li")].filter(seen).map((item) => item.dataset.of),
    found: document.getElementById("found").textContent,
    nothing: seen(document.getElementById("nothing")),
    typed: search.value,
    focused: document.activeElement === search,
  }));
}
