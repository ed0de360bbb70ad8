"use strict";
(() => {
  const search = document.getElementById("search");
  const found = document.getElementById("found");
  const nothing = document.getElementById("nothing");
  const fold = (text) => text.toLowerCase().replace(/[-_]/g, " ");
  const modules = [...document.querySelectorAll(".module")].map((section) => {
    const options = [...section.querySelectorAll(".option")].map((option) => ({
      section: option,
      text: fold(section.id + " " + option.textContent),
    }));
    // The text to paste names every option, and would make each search for one find the whole module.
    const own = [...section.children].filter((child) => child.tagName !== "PRE" && !child.classList.contains("option"));
    const entry = [...document.querySelectorAll("nav li")].find((item) => item.dataset.of === section.id);
    return { section, options, entry, text: fold(own.map((child) => child.textContent).join(" ")) };
  });
  const show = () => {
    const words = fold(search.value).split(/\s+/).filter(Boolean);
    const fits = (text) => words.every((word) => text.includes(word));
    let count = 0;
    let any = false;
    for (const module of modules) {
      // A module that fits by itself is shown whole.
      const whole = fits(module.text);
      let inside = 0;
      for (const option of module.options) {
        const shown = whole || fits(option.text);
        option.section.hidden = !shown;
        inside += shown ? 1 : 0;
      }
      const shown = whole || inside > 0;
      module.section.hidden = !shown;
      if (module.entry) module.entry.hidden = !shown;
      count += inside;
      any = any || shown;
    }
    nothing.hidden = any;
    found.textContent = words.length ? count + (count === 1 ? " option" : " options") : "";
  };
  search.addEventListener("input", show);
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && document.activeElement !== search) {
      event.preventDefault();
      search.focus();
    } else if (event.key === "Escape" && document.activeElement === search) {
      search.value = "";
      show();
    }
  });
  // A link to something that the search hides shows it again.
  addEventListener("hashchange", () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target && target.closest("[hidden]")) {
      search.value = "";
      show();
      target.scrollIntoView();
    }
  });
  show();
})();
