// Links: of the view with all that it shows, for visitors of whom something is kept, and the list of views.

const VIEWS = 'ddx.views' // in the browser: [{ title, link }], the views that a teacher has collected
const PASSING = ['present', 'tour', 'views'] // of this moment, no part of a view

// The address with what the page took where it names nothing; what it names counts.
function fullLink(data, more = {}) {
  const here = new URL(location.href)
  const query = new URLSearchParams(data.taken)
  for (const [name, value] of here.searchParams) query.set(name, value)
  for (const name of PASSING) query.delete(name)
  for (const [name, value] of Object.entries(more)) value ? query.set(name, value) : query.delete(name)
  here.search = query
  here.hash = ''
  return here.href
}

// "Images?run=...": a link of this dashboard without its place; nothing for any other.
function within(link) {
  const base = new URL('.', location.href)
  const url = new URL(link, base)
  if (url.origin !== base.origin || !url.pathname.startsWith(base.pathname)) return ''
  return url.pathname.slice(base.pathname.length) + url.search
}

async function copy(view, text, said) {
  try {
    await navigator.clipboard.writeText(text)
    return view.say(said)
  } catch {} // not allowed, or no secure connection
  const field = put(view.root, 'textarea', '', text)
  field.select()
  const done = document.execCommand('copy')
  field.remove()
  if (done) return view.say(said)
  prompt('Copy this link:', text)
}

function stored() {
  try {
    const found = JSON.parse(localStorage.getItem(VIEWS) || '[]')
    return found.filter(each => typeof each.title === 'string' && typeof each.link === 'string')
  } catch {
    return []
  }
}

function keep(view, views) {
  localStorage.setItem(VIEWS, JSON.stringify(views))
  drawViews(view)
}

function togglePanel(view) {
  const panel = view.find('panel')
  panel.hidden = !panel.hidden
  view.opener?.setAttribute('aria-expanded', !panel.hidden)
  if (panel.hidden) view.opener?.focus()
  else panel.querySelector('select').focus()
}

function drawPanel(view) {
  const panel = view.find('panel')
  const { data } = view
  if (data.taught || data.presenting) panel.hidden = true
  if (!panel.childElementCount) buildPanel(view, panel)
  drawViews(view)
  drawCode(view)
}

function buildPanel(view, panel) {
  put(panel, 'h2', '', 'A link for a class')
  put(panel, 'p', '', 'It opens this view as it is now. What its visitors may do there:')
  const rows = put(panel, 'div', 'groups')
  for (const [name, title, lockable] of view.data.groups) {
    const row = put(rows, 'label', '')
    put(row, 'span', '', title)
    const select = put(row, 'select')
    select.dataset.name = name
    for (const [value, text] of [['', 'as it is'], ...(lockable ? [['lock', 'locked']] : []), ['hide', 'left out']])
      put(select, 'option', '', text).value = value
  }
  const taught = () => [...rows.querySelectorAll('select')].filter(each => each.value)
    .map(each => `${each.value}-${each.dataset.name}`).join(',')
  const link = () => fullLink(view.data, { teach: taught() })
  const first = put(panel, 'div', 'row')
  press(first, 'Copy this link', () => copy(view, link(), 'Link for a class copied.'), 'primary')
  press(first, 'Open it', () => view.go(within(link())))
  if (view.data.shared) press(first, 'QR code', () => view.send('code', link()))
  put(panel, 'div', 'code')
  put(panel, 'h2', '', 'Views to present')
  put(panel, 'ol', 'views')
  const last = put(panel, 'div', 'row')
  press(last, 'Add this view', () => {
    const title = document.querySelector('[data-testid=stMain] h1')?.textContent.trim() || view.data.title
    keep(view, [...stored(), { title, link: within(link()) }])
  })
  press(last, 'Present them', () => present(view), 'many')
  press(last, 'Copy as one link', () => copy(view, listLink(), 'Link of all views copied.'), 'many')
  put(panel, 'p', 'small', 'The list is kept in this browser. While presenting, arrow keys change views and Escape ends.')
  press(panel, 'Close', () => togglePanel(view), 'shut')
}

function drawViews(view) {
  const list = view.find('views')
  const views = stored()
  list.replaceChildren()
  if (!views.length) put(list, 'p', 'small', 'None yet.')
  views.forEach((each, i) => {
    const row = put(list, 'li')
    put(row, 'span', '', each.title)
    const move = press(row, '↑', () => keep(view, views.toSpliced(i, 1).toSpliced(i - 1, 0, each)))
    move.setAttribute('aria-label', `Move ${each.title} up`)
    move.disabled = i === 0
    press(row, '×', () => keep(view, views.toSpliced(i, 1))).setAttribute('aria-label', `Remove ${each.title}`)
  })
  for (const button of view.root.querySelectorAll('.many')) button.disabled = !views.length
}

// The code is black on white in both themes, with a border of four fields, so that it can be read.
function drawCode(view) {
  const place = view.find('code')
  const { code } = view.data
  place.replaceChildren()
  if (!code) return
  if (code.refused) return put(place, 'p', 'small', code.refused)
  const side = code.rows.length + 8
  const picture = put(place, 'canvas')
  picture.width = picture.height = side
  picture.style.width = side * Math.max(3, Math.floor(240 / side)) + 'px'
  picture.setAttribute('role', 'img')
  picture.setAttribute('aria-label', `QR code of ${code.link}`)
  const to = picture.getContext('2d')
  to.fillStyle = '#fff'
  to.fillRect(0, 0, side, side)
  to.fillStyle = '#000'
  code.rows.forEach((row, i) => [...row].forEach((bit, j) => +bit && to.fillRect(j + 4, i + 4, 1, 1)))
}
