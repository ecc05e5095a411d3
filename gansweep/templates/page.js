// Light or dark as the reader's system says, until the button is used.
(function () {
  "use strict";
  var root = document.documentElement, button = document.getElementById("theme");
  var system = window.matchMedia("(prefers-color-scheme: dark)");
  function dark() {
    return root.dataset.theme ? root.dataset.theme === "dark" : system.matches;
  }
  function show() {
    button.textContent = dark() ? "Light page" : "Dark page";
    button.setAttribute("aria-pressed", String(dark()));
  }
  button.addEventListener("click", function () {
    root.dataset.theme = dark() ? "light" : "dark";
    show();
  });
  system.addEventListener("change", show);
  show();
})();

// The list of trials: unpacked when it is first asked for, and questions answered by the rules of gansweep/outcomes.py.
(function () {
  "use strict";
  var source = document.getElementById("trial-data");
  if (!source) return;
  var PAGE = 50, data = null, chosen = [], from = 0, question = "";
  var list = document.getElementById("trials"), form = document.getElementById("asked");
  var facts = ["cell", "arm", "seed", "status", "failure", "verdict", "decision"];

  function bytes(text) {
    var raw = atob(text), found = new Uint8Array(raw.length);
    for (var i = 0; i < raw.length; i++) found[i] = raw.charCodeAt(i);
    return found.buffer;
  }
  function unpack() {
    if (data) return data;
    data = JSON.parse(source.textContent);
    Object.keys(data.columns).forEach(function (name) {
      var column = data.columns[name];
      if (column.f !== undefined) { column.numbers = new Float64Array(bytes(column.f)); return; }
      var Codes = {1: Uint8Array, 2: Uint16Array, 4: Uint32Array}[column.w];
      column.codes = new Codes(bytes(column.i));
    });
    return data;
  }
  function value(name, i) {
    var column = data.columns[name];
    if (!column) return "";
    return column.numbers ? column.numbers[i] : column.v[column.codes[i]];
  }

  // 1 where a trial succeeds at a threshold, 0 where it fails, null where it was stopped or is unknown
  function passes(i, threshold) {
    var state = value("state", i);
    if (state === "scored") return value("score", i) > threshold ? 1 : 0;
    return state === "no score" ? 0 : null;
  }
  function outcomes(pair, threshold) {
    var blocks = new Map();
    for (var i = 0; i < data.number; i++) {
      var side = pair.indexOf(value("arm", i));
      if (side < 0) continue;
      var block = value("cell", i) + " " + value("seed", i);
      if (!blocks.has(block)) blocks.set(block, [null, null, []]);
      var found = blocks.get(block);
      found[side] = passes(i, threshold);
      found[2].push(i);
    }
    return blocks;
  }
  var NAMES = {"1 0": "only_a", "0 1": "only_b", "1 1": "both", "0 0": "neither"};
  function asked(query) {
    var wanted = new URLSearchParams(query), kept = null;
    if (wanted.has("outcome")) {
      kept = new Set();
      outcomes(wanted.get("pair").split(","), Number(wanted.get("threshold"))).forEach(function (block) {
        var name = NAMES[block[0] + " " + block[1]] || "unknown";
        if (wanted.getAll("outcome").indexOf(name) >= 0) block[2].forEach(function (i) { kept.add(i); });
      });
    }
    var plain = Array.from(new Set(wanted.keys())).filter(function (name) { return data.columns[name]; });
    var found = [];
    for (var i = 0; i < data.number; i++) {
      if (kept && !kept.has(i)) continue;
      if (wanted.has("above") && passes(i, Number(wanted.get("above"))) !== 1) continue;
      if (wanted.has("notabove") && passes(i, Number(wanted.get("notabove"))) !== 0) continue;
      if (plain.every(function (name) { return wanted.getAll(name).indexOf(String(value(name, i))) >= 0; })) found.push(i);
    }
    var words = (wanted.get("text") || "").toLowerCase().split(/\s+/).filter(Boolean);
    if (!words.length) return found;
    var names = ["trial"].concat(facts);
    return found.filter(function (i) {
      var line = names.map(function (name) { return value(name, i); }).join(" ").toLowerCase();
      return words.every(function (word) { return line.indexOf(word) >= 0; });
    });
  }
  function inWords(query) {
    var wanted = new URLSearchParams(query), told = [];
    wanted.forEach(function (one, name) {
      if (name === "pair" || name === "threshold") return;
      if (name === "outcome") {
        var arms = wanted.get("pair").split(",").map(function (arm) { return data.arms[arm] || arm; });
        var which = {only_a: "only " + arms[0] + " succeeds", only_b: "only " + arms[1] + " succeeds",
          both: "both succeed", neither: "neither succeeds", unknown: "the outcome is stopped or unknown"}[one];
        told.push("blocks of " + arms.join(" and ") + " in which " + which + " above " + wanted.get("threshold"));
      } else if (name === "above") told.push(data.labels.score + " above " + one);
      else if (name === "notabove") told.push("failed at " + one);
      else if (name === "arm") told.push(data.arms[one] || one);
      else if (name === "text") { if (one) told.push("containing " + one); }
      else told.push((data.labels[name] || name.replace(/_/g, " ")) + " " + (one || "none"));
    });
    return told.length ? told.join(", ") : "all trials";
  }

  function cell(row, text, tag) {
    var made = document.createElement(tag || "td");
    made.textContent = text;
    row.appendChild(made);
    return made;
  }
  function show() {
    var head = list.querySelector("thead tr"), body = list.querySelector("tbody");
    var names = facts.concat(data.factors), last = Math.min(from + PAGE, chosen.length);
    head.textContent = "";
    ["trial"].concat(names, ["step", "score", "how to see it whole"]).forEach(function (name) {
      cell(head, data.labels[name] || name, "th").scope = "col";
    });
    body.textContent = "";
    for (var at = from; at < last; at++) {
      var i = chosen[at], row = document.createElement("tr"), id = value("trial", i);
      var first = cell(row, data.run_page && value("run_id", i) ? "" : id, "th");
      first.scope = "row";
      if (data.run_page && value("run_id", i)) {
        var link = document.createElement("a");
        link.href = data.run_page.replace("{run_id}", value("run_id", i));
        link.textContent = id;
        link.title = "Its MLflow run";
        first.appendChild(link);
      }
      names.forEach(function (name) {
        var told = value(name, i);
        cell(row, name === "arm" ? data.arms[told] || told : told);
      });
      var step = value("step", i), score = value("score", i);
      cell(row, isNaN(step) ? "—" : step);
      cell(row, isNaN(score) ? "—" : Number(score.toPrecision(4)));
      var code = document.createElement("code");
      code.textContent = "gansweep why " + id + " --run " + data.run;
      cell(row, "").appendChild(code);
      body.appendChild(row);
    }
    document.getElementById("told").textContent = chosen.length + " of " + data.number + " trials: " + inWords(question) + ".";
    document.getElementById("where").textContent = chosen.length ? from + 1 + " to " + last + " of " + chosen.length : "none";
    document.getElementById("back").disabled = from === 0;
    document.getElementById("forth").disabled = last >= chosen.length;
  }
  function open(query) {
    unpack();
    question = query;
    form.elements.text.value = new URLSearchParams(query).get("text") || "";
    chosen = asked(query);
    from = 0;
    show();
  }
  function follow() {
    var parts = decodeURI(location.hash).match(/^#trials\??(.*)$/);
    if (!parts) return;
    open(location.hash.replace(/^#trials\??/, ""));
    list.scrollIntoView();
    document.getElementById("told").focus();
  }
  document.getElementById("told").tabIndex = -1;
  document.getElementById("back").addEventListener("click", function () { from = Math.max(0, from - PAGE); show(); });
  document.getElementById("forth").addEventListener("click", function () { from += PAGE; show(); });
  form.addEventListener("submit", function (event) { event.preventDefault(); });
  form.addEventListener("reset", function () { open(""); });
  form.addEventListener("input", function () {
    var wanted = new URLSearchParams(question), text = form.elements.text.value;
    wanted.delete("text");
    if (text) wanted.set("text", text);
    open(wanted.toString());
    form.elements.text.value = text;
  });
  window.addEventListener("hashchange", follow);
  // a figure names what its points open: trace.meta is a question in which %{x}, %{y} and %{id} stand for the point's
  window.gansweepTrials = {
    clicked: function (event) {
      var point = event.points[0], meta = point.data.meta;
      if (typeof meta !== "string") return;
      var asks = meta.replace("%{x}", encodeURIComponent(point.x)).replace("%{y}", encodeURIComponent(point.y))
        .replace("%{id}", point.id === undefined ? "" : point.id);
      location.hash = "#trials?" + asks;
    }
  };
  if (/^#trials/.test(location.hash)) follow();
  else if ("IntersectionObserver" in window) {
    var near = new IntersectionObserver(function (entries) {
      if (entries.some(function (entry) { return entry.isIntersecting; })) { near.disconnect(); if (!data) open(""); }
    }, {rootMargin: "200px"});
    near.observe(list);
  }
})();
