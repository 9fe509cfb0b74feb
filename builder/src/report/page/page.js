"use strict";
// The page of `diff` and `inspect`: treemaps, and a table of the same. All text from packages goes in as text, never as markup.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const isDiff = data.kind === "diff";
  const $ = (id) => document.getElementById(id);

  // A file of the data: path, package, packed before and after, plain before and after, change, path before.
  const files = data.files.map(([path, owner, packedBefore, packedAfter, plainBefore, plainAfter, change, was]) =>
    ({ path, owner, packed: [packedBefore, packedAfter], plain: [plainBefore, plainAfter], change, was }));
  const isChanged = (file) => file.change !== "same" && file.change !== "time";
  const hasPacked = files.some((file) => file.packed[0] !== null || file.packed[1] !== null);

  // What the person chose, kept in the address so that it can be linked to.
  const state = {
    unit: hasPacked ? "packed" : "plain", by: "package", show: isDiff ? "difference" : "after",
    way: "both", zoom: [], sort: "size", down: true, find: "", mark: "",
  };
  const defaults = { ...state };
  const kept = ["unit", "by", "show", "way", "sort", "find", "mark"];
  const read = () => {
    const given = new URLSearchParams(location.hash.slice(1));
    // What an address does not name is as at first: an emptied search is empty.
    for (const key of kept) state[key] = given.has(key) ? given.get(key) : defaults[key];
    if (state.unit !== "packed" && state.unit !== "plain") state.unit = defaults.unit;
    if (!["difference", "sides", "before", "after"].includes(state.show)) state.show = defaults.show;
    state.down = given.get("down") !== "0";
    state.zoom = given.getAll("in");
    if (state.unit !== "plain" && !hasPacked) state.unit = "plain";
  };
  const address = (changes) => {
    const all = { ...state, ...changes };
    const out = new URLSearchParams();
    for (const key of kept) if (all[key]) out.set(key, all[key]);
    if (!all.down) out.set("down", "0");
    all.zoom.forEach((name) => out.append("in", name));
    return "#" + out;
  };
  const go = (changes) => {
    history.replaceState(null, "", address(changes));
    read();
    draw();
  };

  const size = (bytes) => {
    const [value, unit] = bytes >= 999_950 ? [bytes / 1e6, "MB"] : bytes >= 1000 ? [bytes / 1e3, "kB"] : [bytes, bytes === 1 ? "byte" : "bytes"];
    return (unit.endsWith("B") ? value.toFixed(1) : value) + "\u00a0" + unit;
  };
  const signed = (bytes) => (bytes > 0 ? "+" : bytes < 0 ? "\u2212" : "\u00b1") + size(Math.abs(bytes));
  const counted = (count) => count === 1 ? "1 file" : `${count} files`;
  const before = (file) => file[state.unit][0] || 0;
  const after = (file) => file[state.unit][1] || 0;
  const growth = (file) => after(file) - before(file);
  // What changed elsewhere makes what is the same a little larger or smaller; `diff` has the same bounds.
  const isNotable = (was, is) => !data.otherwise
    && (Math.abs(is - was) >= 1000 || (Math.abs(is - was) >= 100 && Math.abs(is - was) * 100 >= Math.max(was, is)));
  const worth = (file, side) => side === "before" ? before(file) : side === "after" ? after(file) : Math.abs(growth(file));

  const element = (name, properties = {}, ...children) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(properties)) {
      if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
      else if (key in made && key !== "list") made[key] = value;
      else made.setAttribute(key, value);
    }
    made.append(...children);
    return made;
  };
  const drawn = (name, attributes = {}, ...children) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  };

  // The names under which a file stands, from the outside in.
  const names = (file) => {
    const parts = file.path.split("/");
    return state.by === "package" ? [file.owner, ...parts] : parts;
  };
  // Where all is compressed in another way, that of what is the same is no news of it.
  const isNews = (file) => file.change !== "same" || !data.otherwise;
  const passes = (file, side) => side !== "difference" || growth(file) !== 0 && isNews(file)
    && (state.way === "both" || (state.way === "more") === (growth(file) > 0));

  // The tree of names below the zoom, with the worth of each.
  const grown = (side) => {
    const root = { name: "", children: new Map(), worth: 0, growth: 0, count: 0 };
    const below = files.filter((file) => !state.zoom.some((name, depth) => names(file)[depth] !== name));
    const empty = [];
    for (const file of below) {
      const value = passes(file, side) ? worth(file, side) : 0;
      if (value <= 0) {
        empty.push(file);
        continue;
      }
      const path = names(file);
      let node = root;
      const add = (node) => { node.worth += value; node.growth += growth(file); node.count += 1; };
      add(node);
      for (const name of path.slice(state.zoom.length)) {
        if (!node.children.has(name)) node.children.set(name, { name, children: new Map(), worth: 0, growth: 0, count: 0 });
        node = node.children.get(name);
        add(node);
      }
      node.file = file;
    }
    // Links and empty files have no area; of one side they count all the same.
    for (const file of empty) {
      if (side === "difference" || file.plain[side === "before" ? 0 : 1] === null) continue;
      let node = root;
      for (const name of ["", ...names(file).slice(state.zoom.length)]) {
        node = name === "" ? root : node.children.get(name);
        if (!node) break;
        node.count += 1;
      }
    }
    return root;
  };
  // Directories with one entry are shown as one name.
  const steps = (node) => {
    const path = [node.name];
    while (node.children.size === 1) {
      node = node.children.values().next().value;
      path.push(node.name);
    }
    return [path, node];
  };

  // Rectangles of areas in a rectangle, near to squares (Bruls, Huizing, van Wijk: Squarified Treemaps).
  const squarify = (items, x, y, width, height) => {
    const total = items.reduce((sum, item) => sum + item.worth, 0);
    const out = [];
    let rest = items.map((item) => [item, item.worth / total * width * height]);
    const worst = (row, sum, side) => {
      const areas = row.map(([, area]) => area);
      return Math.max(side * side * Math.max(...areas) / (sum * sum), sum * sum / (side * side * Math.min(...areas)));
    };
    while (rest.length) {
      const side = Math.min(width, height);
      const row = [];
      let sum = 0;
      while (rest.length) {
        const next = [...row, rest[0]];
        const nextSum = sum + rest[0][1];
        if (row.length && worst(next, nextSum, side) > worst(row, sum, side)) break;
        row.push(rest.shift());
        sum = nextSum;
      }
      const thick = sum / side;
      let at = 0;
      for (const [item, area] of row) {
        const long = area / thick;
        out.push(width < height ? [item, x + at, y, long, thick] : [item, x, y + at, thick, long]);
        at += long;
      }
      if (width < height) { y += thick; height -= thick; } else { x += thick; width -= thick; }
    }
    return out;
  };

  const isNarrow = () => matchMedia("(max-width: 45rem)").matches;
  // `share` is how much of the room it takes: the areas of both sides stand for bytes on one scale.
  const treemap = (side, caption, root, share) => {
    // One unit is one pixel, so that names are as large as all other text.
    const room = Math.max(240, $("maps").clientWidth);
    const wide = state.show === "sides" && !isNarrow() ? (room - 13) / 2 : room;
    const high = Math.max(1, Math.round((isNarrow() ? 420 : 480) * share));
    // Below a zoom, directories with one entry are passed.
    const lead = [];
    let within = root;
    while (state.zoom.length && within.children.size === 1) {
      const [only] = within.children.values();
      if (!only.children.size) break;
      lead.push(only.name);
      within = only;
    }
    // Of a difference an area is what its label says: more and less below it cancel out.
    if (side === "difference") for (const node of within.children.values()) node.worth = Math.abs(node.growth);
    const items = [...within.children.values()].filter((node) => node.worth > 0).sort((a, b) => b.worth - a.worth || (a.name < b.name ? -1 : 1));
    const sum = (way) => size(items.reduce((sum, node) => sum + Math.max(0, way * node.growth), 0));
    const sums = side === "difference"
      ? `areas are net changes, grown ${sum(1)}, shrunk ${sum(-1)}`
      : `${size(root.worth)} in ${counted(root.count)}`;
    const figure = element("figure", {}, element("figcaption", {}, `${caption}: ${sums}`));
    if (!items.length) {
      figure.append(element("p", { className: "faint" }, "Nothing to show."));
      return figure;
    }
    const svg = drawn("svg", { viewBox: `0 0 ${wide} ${high}`, role: "group", "aria-label": caption + ", as a treemap; the table below says the same" });
    for (const [node, x, y, width, height] of squarify(items, 0, 0, wide, high)) {
      const [path, end] = steps(node);
      const label = state.by === "package" && !state.zoom.length ? path[0] : [...lead, ...path].join("/");
      const told = side === "difference" ? signed(node.growth) : size(node.worth);
      const group = drawn("g", { tabindex: svg.childElementCount ? -1 : 0, role: "button" });
      if (side === "difference") group.classList.add(node.growth < 0 ? "down" : "up");
      // The name for those who do not see it: what is seen may be cut off.
      const name = `${label}\n${told}` + (end.file ? "" : `, ${counted(node.count)}, opens`);
      group.append(drawn("title", {}, document.createTextNode(name)), drawn("rect", { x, y, width, height }));
      if (width > 34 && height > 16) {
        const fits = Math.floor(width / 7) - 1;
        const text = (string, dy) => {
          const short = string.length > fits ? string.slice(0, Math.max(1, fits - 1)) + "\u2026" : string;
          group.append(drawn("text", { x: x + 4, y: y + dy, "aria-hidden": "true" }, document.createTextNode(short)));
        };
        text(label, 13);
        if (height > 32) text(told, 28);
      }
      const open = () => end.file ? go({ mark: end.file.path, find: "" }) : go({ zoom: [...state.zoom, ...lead, ...path] });
      group.addEventListener("click", open);
      group.addEventListener("keydown", (event) => {
        if (event.key === "Enter" || event.key === " ") {
          event.preventDefault();
          open();
          // What had the focus is drawn anew.
          const first = $("maps").querySelector("g");
          if (first && !(end.file && data.why)) first.focus();
          return;
        }
        const cells = [...svg.children];
        const here = cells.indexOf(group);
        const next = { ArrowRight: here + 1, ArrowDown: here + 1, ArrowLeft: here - 1, ArrowUp: here - 1, Home: 0, End: cells.length - 1 }[event.key];
        if (next === undefined || !cells[next]) return;
        event.preventDefault();
        group.setAttribute("tabindex", -1);
        cells[next].setAttribute("tabindex", 0);
        cells[next].focus();
      });
      svg.append(group);
    }
    figure.append(svg);
    return figure;
  };

  const drawMaps = () => {
    const maps = $("maps");
    maps.className = state.show === "sides" ? "two" : "";
    const title = { difference: "The difference", before: "Before", after: isDiff ? "After" : "Contents" };
    const sides = state.show === "sides" ? ["before", "after"] : [state.show];
    const roots = sides.map(grown);
    const most = Math.max(1, ...roots.map((root) => root.worth));
    const scale = sides.length > 1 ? " (areas of both on one scale)" : "";
    maps.replaceChildren(...sides.map((side, at) =>
      treemap(side, title[side] + (at === 0 ? scale : ""), roots[at], sides.length > 1 ? roots[at].worth / most : 1)));
    const top = element("button", { onclick: () => go({ zoom: [] }) }, state.by === "package" ? "all packages" : "/");
    const trail = state.zoom.map((name, depth) => element("button", { onclick: () => go({ zoom: state.zoom.slice(0, depth + 1) }) }, name));
    $("trail").replaceChildren(top, ...trail.flatMap((part) => [element("span", { className: "faint" }, "\u203a"), part]));
  };

  // Why the file that is chosen is there: what keeps it, and the way from it to a rule or a step.
  const places = new Map(files.map((file, place) => [file.path, place]));
  const fileLink = (path) => element("a", { href: address({ mark: path, find: "" }) }, "/" + path);
  const causesOf = (place) => (data.why && data.why.causes[place]) || [];
  const causeNode = (cause) => cause < 0 ? fileLink(files[-cause - 1].path) : data.why.texts[cause];
  const wayOf = (place) => {
    const way = [];
    const seen = new Set([place]);
    for (;;) {
      const [cause] = causesOf(place);
      if (cause === undefined) return way;
      way.push(cause);
      if (cause >= 0 || seen.has(-cause - 1)) return way;
      place = -cause - 1;
      seen.add(place);
    }
  };
  const drawDetail = () => {
    const detail = $("detail");
    if (!data.why) return;
    const place = places.get(state.mark);
    const owner = state.by === "package" && state.zoom.length ? state.zoom[0] : null;
    if (place === undefined) {
      const notes = owner && (data.notes || {})[owner];
      detail.replaceChildren(...(notes
        ? [element("h2", {}, owner), ...notes.map((note) => element("p", {}, note))]
        : [element("p", { className: "faint" }, "Choose a file, here or in the table, to see why it is there.")]));
      return;
    }
    const file = files[place];
    const sizes = [["compressed", file.packed[1]], ["unpacked", file.plain[1]]].filter(([, bytes]) => bytes !== null && bytes !== undefined);
    const retained = data.why.retained[place];
    const brought = retained && (hasPacked ? retained[0] > file.packed[1] || retained[1] > file.plain[1] : retained[1] > file.plain[1]);
    const causes = causesOf(place);
    const leftOut = data.why.left_out[place];
    const items = causes.map((cause) => element("li", {}, causeNode(cause)));
    if (leftOut) items.push(element("li", {}, `and ${leftOut} more`));
    const way = wayOf(place);
    detail.replaceChildren(
      element("h2", {}, "/" + file.path),
      element("p", {}, element("a", { href: address({ by: "package", zoom: [file.owner], mark: "" }) }, file.owner), ": " + sizes.map(([what, bytes]) => size(bytes) + " " + what).join(", ")),
      ...(brought ? [element("p", {}, "With it would go " + (hasPacked ? size(retained[0]) + " compressed, " : "") + size(retained[1]) + " unpacked: it and what nothing else needs.")] : []),
      ...(items.length ? [element("p", { className: "faint" }, items.length > 1 ? "Kept by each of" : "Kept by"), element("ul", {}, ...items)] : [element("p", { className: "faint" }, "The package does not say why it is there.")]),
      ...(way.length > 1 ? [element("p", { className: "faint" }, "One way"), element("ol", {}, ...way.map((cause) => element("li", {}, causeNode(cause))))] : []),
      element("button", { onclick: () => { go({ mark: "" }); $("maps").querySelector("g")?.focus(); } }, "close"));
  };

  // The table: packages, then paths, of what the zoom and the search leave.
  const SHOWN = 200;
  let shown = SHOWN;
  const columns = isDiff
    ? [["name", "Name"], ["change", "Change", "wide"], ["before", "Before", "number wide"], ["after", "After", "number wide"], ["size", "Growth", "number"]]
    : [["name", "Name"], ["plain", "Unpacked", "number wide"], ["size", "Size", "number"]];
  const keys = {
    name: (row) => row.name, change: (row) => row.change || "", before: (row) => row.before, after: (row) => row.after,
    plain: (row) => row.plain, size: (row) => isDiff ? Math.abs(row.after - row.before) : row.after,
  };
  const sorted = (rows) => {
    const key = keys[state.sort] || keys.size;
    return rows.sort((a, b) => {
      const [one, two] = [key(a), key(b)];
      const order = one < two ? -1 : one > two ? 1 : 0;
      return (state.down ? -order : order) || (a.name < b.name ? -1 : 1);
    });
  };
  const selected = () => {
    const words = state.find.toLowerCase().split(/\s+/).filter(Boolean);
    return files.filter((file) => {
      const path = names(file);
      if (state.zoom.some((name, depth) => path[depth] !== name)) return false;
      if (isDiff && state.way !== "both" && growth(file) !== 0 && (state.way === "more") !== (growth(file) > 0)) return false;
      const text = (file.path + " " + file.owner).toLowerCase();
      return words.every((word) => text.includes(word));
    });
  };
  const row = (entry) => {
    const change = entry.after - entry.before;
    const cell = { change: entry.change || "", before: size(entry.before), after: size(entry.after), plain: size(entry.plain), size: isDiff ? signed(change) : size(entry.after) };
    const cells = columns.slice(1).map(([key, , kind]) => {
      const tone = isDiff && key === "size" ? (change > 0 ? " more" : change < 0 ? " less" : "") : "";
      return element("td", { className: (kind || "") + tone }, cell[key]);
    });
    const name = element("td", { className: "path" });
    if (entry.open) name.append(element("a", { href: address({ zoom: entry.open, mark: "", by: "package" }) }, entry.name), " ", element("span", { className: "faint" }, entry.note || ""));
    else name.append(element("a", { href: address({ mark: entry.name }) }, "/" + entry.name), " ", element("span", { className: "faint" }, entry.note || ""));
    if (entry.notes) {
      const said = entry.notes.map((note) => element("pre", {}, note));
      name.append(element("details", {}, element("summary", {}, "why"), ...said));
    }
    const made = element("tr", {}, name, ...cells);
    if (!entry.open && entry.name === state.mark) made.className = "marked";
    return made;
  };
  const table = (id, label, rows) => {
    const head = element("tr", {}, ...columns.map(([key, title, kind]) => {
      const isSorted = state.sort === key;
      const button = element("button", { onclick: () => go({ sort: key, down: isSorted ? !state.down : (kind || "").startsWith("number") }) }, title + (isSorted ? (state.down ? " \u25be" : " \u25b4") : ""));
      return element("th", { scope: "col", className: kind || "", "aria-sort": isSorted ? (state.down ? "descending" : "ascending") : "none" }, button);
    }));
    const limit = id === "paths" ? shown : Infinity;
    const made = element("table", {}, element("caption", { className: "visually-hidden" }, label), element("thead", {}, head), element("tbody", {}, ...rows.slice(0, limit).map(row)));
    const more = rows.length > limit ? [element("button", { onclick: () => { shown *= 4; draw(); } }, `${rows.length - limit} more`)] : [];
    $(id).replaceChildren(...(rows.length ? [made, ...more] : [element("p", { className: "faint" }, "Nothing to show.")]));
  };
  const drawTables = () => {
    // A package's size counts its files that are the same too: compressed, these change as well.
    const near = selected();
    const chosen = isDiff ? near.filter((file) => file.change !== "same" || isNotable(before(file), after(file))) : near;
    const touched = new Set(chosen.map((file) => file.owner));
    const packages = new Map();
    for (const file of near) {
      const sum = packages.get(file.owner) || { name: file.owner, before: 0, after: 0, plain: 0, count: 0, kinds: new Set(), open: [file.owner] };
      sum.before += before(file); sum.after += after(file); sum.plain += file.plain[1] || 0;
      sum.count += isDiff && !isChanged(file) ? 0 : 1;
      sum.kinds.add(file.change);
      packages.set(file.owner, sum);
    }
    // What happened to a package, from what happened to its files.
    const changeOf = (kinds) => {
      const [only, more] = kinds;
      if (more === undefined && only !== "renamed") return only;
      return [...kinds].every((kind) => kind === "same" || kind === "time") ? "time" : "changed";
    };
    const versions = (name) => {
      const [was, is] = (data.versions || {})[name] || [];
      return was && is && was !== is ? `${was} \u2192 ${is}` : is || (was ? `${was}, gone` : "");
    };
    const listed = [...packages.values()].filter((sum) => touched.has(sum.name) || isNotable(sum.before, sum.after));
    const rows = listed.map((sum) => ({ ...sum, change: changeOf(sum.kinds), notes: (data.notes || {})[sum.name], note: [versions(sum.name), isDiff ? `${sum.count} changed` : counted(sum.count)].filter(Boolean).join(", ") }));
    table("packages", "By package", sorted(rows));
    const paths = chosen.map((file) => ({ name: file.path, note: file.was ? `was /${file.was}; ${file.owner}` : file.owner, change: file.change, before: before(file), after: after(file), plain: file.plain[1] || 0 }));
    const order = sorted(paths);
    // What is linked to is shown, wherever it stands.
    const at = order.findIndex((entry) => entry.name === state.mark);
    if (at >= shown) shown = at + 1;
    table("paths", "By path", order);
    $("count").textContent = isDiff
      ? `${chosen.filter(isChanged).length} changed of ${counted(files.length)}`
      : `${chosen.length} of ${counted(files.length)}`;
  };

  const choice = (name, legend, values) => element("fieldset", {}, element("legend", {}, legend), ...values.map(([value, text]) =>
    element("label", {}, element("input", { type: "radio", name, value, checked: state[name] === value, onchange: () => go({ [name]: value, zoom: name === "by" ? [] : state.zoom }) }), " " + text)));
  const drawChoices = () => {
    const groups = [choice("by", "by", [["package", "package"], ["directory", "directory"]])];
    if (hasPacked) groups.push(choice("unit", "size", [["packed", "compressed"], ["plain", "unpacked"]]));
    if (isDiff) {
      groups.push(choice("show", "show", [["difference", "difference"], ["sides", "both sides"]]));
      groups.push(choice("way", "what is", [["both", "more or less"], ["more", "more"], ["less", "less"]]));
    }
    const focused = document.activeElement && document.activeElement.name ? [document.activeElement.name, document.activeElement.value] : null;
    $("choices").replaceChildren(...groups);
    if (focused) for (const input of $("choices").querySelectorAll("input")) if (input.name === focused[0] && input.value === focused[1]) input.focus();
  };

  let marked = null;
  const draw = () => {
    drawChoices();
    drawMaps();
    drawDetail();
    drawTables();
    const row = data.why ? $("detail") : document.querySelector("tr.marked");
    if (row && state.mark && marked !== state.mark) row.scrollIntoView({ block: data.why ? "nearest" : "center" });
    if (data.why && state.mark && marked !== null && marked !== state.mark) $("detail").focus({ preventScroll: true });
    marked = state.mark;
  };
  $("find").addEventListener("input", (event) => { shown = SHOWN; go({ find: event.target.value, zoom: [] }); });
  // A link of a table that stands in the page itself keeps what was chosen otherwise.
  for (const link of document.querySelectorAll("details.section a")) link.addEventListener("click", (event) => {
    event.preventDefault();
    const given = new URLSearchParams(link.hash.slice(1));
    go({ by: given.get("by") || state.by, zoom: given.getAll("in"), mark: given.get("mark") || "", find: "" });
    $("find").value = "";
    (state.mark ? $("detail") : $("trail")).scrollIntoView({ block: "start" });
  });
  addEventListener("hashchange", () => { read(); draw(); });
  addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !state.zoom.length || event.target.tagName === "INPUT") return;
    // What has one entry was passed on the way in.
    const side = state.show === "sides" ? "after" : state.show;
    do state.zoom.pop(); while (state.zoom.length && grown(side).children.size < 2);
    go({ zoom: state.zoom });
  });
  let last = innerWidth;
  addEventListener("resize", () => { if (last !== innerWidth) drawMaps(); last = innerWidth; });
  read();
  $("find").value = state.find;
  draw();
})();
