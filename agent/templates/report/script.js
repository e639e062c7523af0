"use strict";
// Filters the records. All of the page can be read without it.
(() => {
  const form = document.getElementById("filter");
  if (!form) return;
  const find = document.getElementById("find");
  const event = document.getElementById("event");
  const outcome = document.getElementById("outcome");
  const grave = document.getElementById("grave");
  const shown = document.getElementById("shown");
  const rows = Array.from(document.getElementById("table").tBodies, (body) => ({
    body, text: body.textContent.toLowerCase(), of: body.dataset,
  }));

  const apply = () => {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const { body, text, of } of rows) {
      const fits = (!event.value || of.event === event.value)
        && (!outcome.value || of.outcome === outcome.value)
        && (!grave.checked || of.weight !== "ordinary")
        && words.every((word) => text.includes(word));
      body.hidden = !fits;
      count += fits ? 1 : 0;
    }
    shown.textContent = count === rows.length ? `${count} records` : `${count} of ${rows.length} records`;
  };

  // Whoever follows a link to a record shall find it, open.
  const reveal = () => {
    const body = document.getElementById(location.hash.slice(1));
    if (!body || body.tagName !== "TBODY") return;
    if (body.hidden) {
      form.reset();
      apply();
    }
    const details = body.querySelector("details");
    if (details) details.open = true;
    body.scrollIntoView({ block: "start" });
  };

  let waiting = 0;
  form.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(apply, 80);
  });
  form.addEventListener("submit", (submitted) => submitted.preventDefault());
  addEventListener("hashchange", reveal);
  form.hidden = false;
  apply();
  reveal();
})();
