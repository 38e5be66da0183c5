// The browser's part of `reproduce_matrix.py`: a table whose cells hold bullet marks that can be chosen.

export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector('.matrix')
  const within = root.getRootNode().activeElement?.dataset.index
  const table = document.createElement('table')
  const head = add(add(table, 'thead'), 'tr')
  for (const name of ['Method', ...data.columns]) add(head, 'th', name).scope = 'col'
  const body = add(table, 'tbody')
  for (const [name, cells] of data.rows) {
    const row = add(body, 'tr')
    add(row, 'th', name).scope = 'row'
    for (const marks of cells) {
      const cell = add(row, 'td')
      for (const mark of marks) addMark(cell, mark, data.chosen, index => setTriggerValue('picked', index))
    }
  }
  root.replaceChildren(legend(data.legend), table)
  if (within) root.querySelector(`[data-index="${within}"]`)?.focus({ preventScroll: true })
}

function add(parent, tag, text) {
  const made = document.createElement(tag)
  if (text) made.textContent = text
  parent.append(made)
  return made
}

function addMark(cell, mark, chosen, send) {
  const button = add(cell, 'button')
  button.className = mark.kind
  button.dataset.index = mark.index
  button.title = mark.words
  add(button, 'span', mark.words).className = 'words'
  button.setAttribute('aria-pressed', mark.index === chosen)
  button.onclick = () => send(mark.index)
  const figures = add(button, 'span')
  figures.className = 'figures'
  figures.setAttribute('aria-hidden', 'true')
  add(figures, 'b', mark.ours)
  add(figures, 'span', mark.label).className = 'label'
  add(figures, 'span', mark.theirs)
  const bar = add(button, 'div')
  bar.className = 'bar'
  place(bar, 'whole', {})
  if (mark.published !== null) place(bar, 'published', { left: mark.published + '%' })
  if (mark.mean === null) return
  const low = mark.mean - mark.spread
  if (mark.spread) place(bar, 'spread', { left: low + '%', width: 2 * mark.spread + '%' })
  place(bar, 'mark', { left: mark.mean + '%' })
}

function place(bar, name, style) {
  const made = add(bar, 'i')
  made.className = name
  Object.assign(made.style, style)
}

function legend(entries) {
  const made = document.createElement('div')
  made.className = 'legend'
  for (const [kind, words] of entries) {
    const entry = add(made, 'span')
    entry.className = kind
    const mark = add(entry, 'i')
    mark.className = kind === 'tick' ? 'published' : kind === 'open' ? '' : 'mark'
    mark.style.display = 'inline-block'
    entry.append(words)
  }
  return made
}
