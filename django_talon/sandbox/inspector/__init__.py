"""The page at ``/_sandbox/``: the journal, live. Everything remote is set as text."""

from __future__ import annotations

HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; connect-src 'self'",
    "X-Content-Type-Options": "nosniff",
}

PAGE = b"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Talon.One sandbox</title>
<style>
  body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem }
  table { border-collapse: collapse; width: 100% }
  th, td { border-bottom: 1px solid #ddd; padding: .35rem .6rem; text-align: left }
  td { vertical-align: top }
  pre { background: #f6f6f6; max-height: 24rem; overflow: auto; white-space: pre-wrap }
  .bad { color: #b00020 }
  @media (prefers-color-scheme: dark) {
    body { background: #161616; color: #eee } pre { background: #222 } .bad { color: #ff8a8a }
  }
</style>
<h1>Talon.One sandbox</h1>
<p><label>World <input id="world" placeholder="all"></label> <span id="count"></span></p>
<section id="violations" class="bad" aria-live="polite"></section>
<table>
  <thead><tr><th>#</th><th>World</th><th>Operation</th><th>Call</th><th>Answer</th></tr></thead>
  <tbody id="calls"></tbody>
</table>
<script>
const world = document.getElementById("world")
const calls = document.getElementById("calls")
const known = new Map()

function cell(row, text, bad) {
  const made = row.insertCell()
  made.textContent = text
  if (bad) made.className = "bad"
  return made
}

function details(into, title, value) {
  if (value === null || value === undefined) return
  const box = document.createElement("details")
  const summary = document.createElement("summary")
  const pre = document.createElement("pre")
  summary.textContent = title
  pre.textContent = JSON.stringify(value, null, 2)
  box.append(summary, pre)
  into.append(box)
}

function show(entry) {
  const key = entry.world + "/" + entry.index
  const state = JSON.stringify([entry.status, entry.outcome, entry.parked])
  const old = known.get(key)
  if (old && old.state === state) return
  const row = document.createElement("tr")
  cell(row, entry.index)
  cell(row, entry.world)
  cell(row, entry.operation || "-")
  details(cell(row, entry.method + " " + entry.path), "body", entry.body)
  const said = entry.parked ? "parked: " + entry.parked : entry.status || entry.outcome
  details(cell(row, said, entry.status >= 400 || !entry.status), "answer", entry.answer)
  if (old) old.row.replaceWith(row)
  else calls.prepend(row)
  known.set(key, { row, state })
}

async function read(path) {
  const answer = await fetch(path + "?world=" + encodeURIComponent(world.value))
  return answer.json()
}

async function refresh() {
  try {
    const entries = await read("journal")
    entries.forEach(show)
    document.getElementById("count").textContent = entries.length + " calls"
    const found = await read("violations")
    document.getElementById("violations").textContent = found
      .map(one => one.monitor + ": " + one.details).join("\\n")
  } catch (error) {
    document.getElementById("count").textContent = "the sandbox does not answer"
  }
  setTimeout(refresh, 1000)
}

world.addEventListener("change", () => { known.clear(); calls.replaceChildren() })
refresh()
</script>
</html>
"""
