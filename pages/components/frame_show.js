// Presenting a list of views, and the tour.

const LIST = 'ddx.presented' // of this tab: the links that are walked through, and which one is shown
const AT = 'ddx.at'

const packed = links => btoa(String.fromCharCode(...new TextEncoder().encode(JSON.stringify(links))))
  .replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')

function unpacked(text) {
  try {
    const bytes = Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), c => c.charCodeAt(0))
    const links = JSON.parse(new TextDecoder().decode(bytes))
    return links.map(link => within(String(link))).filter(Boolean)
  } catch {
    return []
  }
}

const asPresented = link => link + (link.includes('?') ? '&' : '?') + 'present=1'

function listLink() {
  const links = stored().map(each => each.link)
  return new URL('.', location.href).href + asPresented(links[0]) + '&views=' + packed(links)
}

function present(view) {
  const links = stored().map(each => each.link)
  sessionStorage.setItem(LIST, JSON.stringify(links))
  sessionStorage.setItem(AT, '0')
  view.find('panel').hidden = true
  view.go(asPresented(links[0]))
}

function presented() {
  try {
    return JSON.parse(sessionStorage.getItem(LIST) || '[]').map(within).filter(Boolean)
  } catch {
    return []
  }
}

// The view after or before the one that is shown; nothing at either end.
function neighbour(by) {
  const links = presented()
  const at = +(sessionStorage.getItem(AT) || 0) + by
  if (!links[at]) return ''
  sessionStorage.setItem(AT, at)
  return asPresented(links[at])
}

function drawShow(view) {
  const place = view.find('show')
  place.hidden = !view.data.presenting
  place.replaceChildren()
  if (place.hidden) return
  const sent = new URL(location.href).searchParams.get('views')
  if (sent && sessionStorage.getItem('ddx.sent') !== sent) {
    sessionStorage.setItem('ddx.sent', sent)
    sessionStorage.setItem(LIST, JSON.stringify(unpacked(sent)))
    sessionStorage.setItem(AT, '0')
  }
  const links = presented()
  const at = +(sessionStorage.getItem(AT) || 0)
  if (links.length) {
    const back = press(place, '‹', () => view.go(neighbour(-1)))
    back.setAttribute('aria-label', 'Previous view')
    back.disabled = at === 0
    put(place, 'span', '', `${at + 1} of ${links.length}`)
    const next = press(place, '›', () => view.go(neighbour(1)))
    next.setAttribute('aria-label', 'Next view')
    next.disabled = at + 1 >= links.length
  }
  press(place, 'End', () => view.send('leave', true))
}

// --- the tour --------------------------------------------------------------------------------------

function drawStop(view) {
  const place = view.find('stop')
  const { tour } = view.data
  place.hidden = !tour
  view.find('ring').hidden = true
  if (!tour) return (view.stopped = 0)
  place.replaceChildren()
  put(place, 'p', 'small', `Stop ${tour.number} of ${tour.count}`)
  put(place, 'p', '', tour.text)
  const row = put(place, 'div', 'row')
  const back = press(row, 'Back', () => view.go(tour.back))
  back.disabled = !tour.back
  const next = press(row, tour.next ? 'Next' : 'Done', () => (tour.next ? view.go(tour.next) : view.send('leave', true)), 'primary')
  if (tour.next) press(row, 'End the tour', () => view.send('leave', true))
  addEventListener('scroll', view.moved, true)
  addEventListener('resize', view.moved)
  view.looking = setInterval(view.moved, 400) // what it stands beside may come late, or grow
  if (view.stopped !== tour.number) {
    view.stopped = tour.number
    view.shown = false
    next.focus({ preventScroll: true })
  }
  placeStop(view)
}

// The part of a box that is on the screen, below the bar.
function seen({ left, top, right, bottom }) {
  const clipped = (value, most) => Math.max(8, Math.min(value, most - 8))
  return {
    left: clipped(left, innerWidth), right: clipped(right, innerWidth),
    top: Math.max(44, clipped(top, innerHeight)), bottom: clipped(bottom, innerHeight),
  }
}

// Below the thing or above it, else over its lower right corner: always on the screen.
function placeStop(view) {
  const { tour } = view.data
  const place = view.find('stop')
  const thing = tour && document.querySelector('.' + tour.class)
  const ring = view.find('ring')
  ring.hidden = !thing
  if (!tour) return
  if (thing && !view.shown) {
    view.shown = true
    const { top, bottom } = thing.getBoundingClientRect()
    const fits = bottom - top < innerHeight - 100
    if (top < 40 || top > innerHeight - 200 || (fits && bottom > innerHeight))
      thing.scrollIntoView({ block: fits ? 'center' : 'start' })
  }
  const box = thing && seen(thing.getBoundingClientRect())
  const { width, height } = place.getBoundingClientRect()
  if (!box) {
    place.style.left = innerWidth - width - 24 + 'px'
    place.style.top = innerHeight - height - 24 + 'px'
    return
  }
  const { left, top, right, bottom } = box
  Object.assign(ring.style, {
    left: left - 4 + 'px', top: top - 4 + 'px', width: right - left + 8 + 'px', height: bottom - top + 8 + 'px',
  })
  const room = { right: innerWidth - right, below: innerHeight - bottom, above: top - 40 }
  let x = Math.min(left, innerWidth - width - 12)
  let y = bottom + 12
  if (room.below < height + 16) {
    if (room.right > width + 24) [x, y] = [right + 12, Math.max(48, top)]
    else if (room.above > height + 16) y = top - height - 12
    else [x, y] = [Math.min(right, innerWidth) - width - 16, Math.min(bottom, innerHeight) - height - 16]
  }
  place.style.left = Math.max(8, x) + 'px'
  place.style.top = Math.max(48, Math.min(y, innerHeight - height - 8)) + 'px'
}
