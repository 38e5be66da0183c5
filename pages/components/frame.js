// The browser's part of `frame.py`: the bar over the page's header, and what it opens. All texts are set as
// texts, whoever wrote them.

export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector('.frame')
  root.view ??= new FrameView(root)
  root.view.update(data[0], setTriggerValue)
  return () => root.view.close()
}

function put(parent, tag, className = '', text = '') {
  const made = document.createElement(tag)
  made.className = className
  made.textContent = text
  parent.append(made)
  return made
}

function press(parent, text, does, className = '') {
  const made = put(parent, 'button', className, text)
  made.type = 'button'
  made.onclick = does
  return made
}

// Whether keys belong to what they were pressed in: fields, sliders, sheets, menus.
function isBusy(event) {
  const inside = event.composedPath().filter(each => each instanceof Element)
  return inside.some(each => each.matches(
    'input, textarea, select, canvas, [contenteditable=true], [role=slider], [role=listbox], [role=radiogroup], ' +
    '[role=combobox], [role=grid], [role=tablist], [role=dialog]:not(.stop), [data-testid=stDataFrame]'))
}

class FrameView {
  constructor(root) {
    this.root = root
    this.find = name => root.querySelector('.' + name)
    this.keyed = event => this.pressed(event)
    this.pointed = event => showTerm(this, event)
    this.left = event => leaveTerm(this, event)
    this.clicked = event => openTerm(this, event)
    this.moved = () => placeStop(this)
  }

  close() {
    document.removeEventListener('keydown', this.keyed)
    for (const name of ['pointerover', 'focusin']) document.removeEventListener(name, this.pointed)
    for (const name of ['pointerout', 'focusout']) document.removeEventListener(name, this.left)
    document.removeEventListener('click', this.clicked, true)
    removeEventListener('scroll', this.moved, true)
    removeEventListener('resize', this.moved)
    clearInterval(this.looking)
  }

  update(data, send) {
    this.close()
    document.addEventListener('keydown', this.keyed)
    for (const name of ['pointerover', 'focusin']) document.addEventListener(name, this.pointed)
    for (const name of ['pointerout', 'focusout']) document.addEventListener(name, this.left)
    document.addEventListener('click', this.clicked, true)
    this.data = data
    this.send = send
    this.find('card').hidden = true
    this.drawBar()
    drawPanel(this)
    drawShow(this)
    drawStop(this)
  }

  go(address) {
    this.send('go', address)
  }

  say(text) {
    const place = this.find('said')
    place.textContent = text
    clearTimeout(this.saying)
    this.saying = setTimeout(() => (place.textContent = ''), 4000)
  }

  drawBar() {
    const bar = this.root.querySelector('nav')
    const { data } = this
    bar.replaceChildren()
    bar.hidden = data.presenting
    press(bar, 'Copy link', () => copy(this, fullLink(data), 'Link copied: it shows this view anywhere.'))
    if (data.taught) return
    this.opener = press(bar, 'Teach', () => togglePanel(this))
    this.opener.setAttribute('aria-expanded', !this.find('panel').hidden)
    press(bar, 'Present', () => this.send('present', true))
    press(bar, 'Tour', () => this.go(data.begin))
  }

  pressed(event) {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return
    if (event.key === 'Escape') return this.escaped(event)
    const by = { ArrowRight: 1, PageDown: 1, ArrowLeft: -1, PageUp: -1 }[event.key]
    if (!by || isBusy(event)) return
    const { tour, presenting } = this.data
    const to = tour ? (by > 0 ? tour.next : tour.back) : presenting ? neighbour(by) : ''
    if (!to) return
    event.preventDefault()
    this.go(to)
  }

  escaped(event) {
    if (!this.find('panel').hidden) togglePanel(this)
    else if (!this.find('card').hidden) this.find('card').hidden = true
    else if ((this.data.presenting || this.data.tour) && !isBusy(event)) this.send('leave', true)
  }
}
