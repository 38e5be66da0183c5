// Cards of the glossary: a link to #term-... shows the sentence of its term under the mouse and the focus.

const TERM = 'a[href*="#term-"]'

function termOf(event) {
  return event.composedPath().find(each => each instanceof Element && each.matches(TERM))
}

function showTerm(view, event) {
  const link = termOf(event)
  const known = link && view.data.terms[link.hash.slice('#term-'.length)]
  if (!known) return
  const card = view.find('card')
  card.replaceChildren()
  put(card, 'b', '', known[0])
  put(card, 'p', '', known[1])
  card.hidden = false
  link.setAttribute('aria-description', known[1])
  const box = link.getBoundingClientRect()
  const { width, height } = card.getBoundingClientRect()
  const below = box.bottom + height + 12 <= innerHeight
  card.style.left = Math.max(8, Math.min(box.left, innerWidth - width - 12)) + 'px'
  card.style.top = (below ? box.bottom + 6 : box.top - height - 6) + 'px'
}

function leaveTerm(view, event) {
  if (termOf(event)) view.find('card').hidden = true
}

// A click leads to the page of all terms, at this one; the address of this page stays as it is.
function openTerm(view, event) {
  const link = termOf(event)
  const known = link && view.data.terms[link.hash.slice('#term-'.length)]
  if (!known) return
  event.preventDefault()
  event.stopPropagation()
  view.go(`Glossary?find=${encodeURIComponent(known[0])}`)
}
