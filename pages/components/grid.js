// The browser's part of `grid.py`: draws a sheet of small images from one picture, each pixel a whole number
// of screen pixels, and says which images were chosen. Whatever people wrote is set as text, never as HTML.

const LARGEST = 192 // screen pixels of an image in a sheet, at most
const LEAST = 24 // and at least, unless its pixels are more
const LENS = 224 // screen pixels of the enlarged image, about
const SCROLLBAR = 20 // screen pixels that may come and go beside a sheet without a new scale
const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }

const views = new Set() // all sheets of the page, some of which share a scale

export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector('.grid')
  root.view ??= new View(root)
  root.view.update(data, chosen => setTriggerValue('picked', chosen))
  return () => root.view.close()
}

function add(parent, tag, className) {
  const made = document.createElement(tag)
  made.className = className
  parent.append(made)
  return made
}

// The box that follows its image: a fixed place needs no room, and no sheet can cut it off.
function beside(box, tile) {
  const { width, height } = box.getBoundingClientRect()
  const right = tile.right + 12 + width <= innerWidth
  const top = Math.min(tile.top, innerHeight - height - 8)
  box.style.left = Math.max(8, right ? tile.right + 12 : tile.left - 12 - width) + 'px'
  box.style.top = Math.max(8, top) + 'px'
}

class View {
  constructor(root) {
    this.root = root
    this.sheet = root.querySelector('.sheet')
    this.note = root.querySelector('.note')
    this.keys = root.querySelector('.keys')
    this.lens = root.querySelector('.lens')
    this.width = 0
    this.watch = new ResizeObserver(() => this.resized())
    this.watch.observe(root)
    views.add(this)
    this.sheet.onpointerover = event => this.pointed(event)
    this.sheet.onpointerleave = () => this.hideLens()
    this.sheet.onclick = event => this.clicked(event)
    this.sheet.onkeydown = event => this.pressed(event)
    this.sheet.onfocusin = event => this.focused(event)
    this.sheet.onfocusout = () => this.hideLens()
    this.scrolled = () => this.lens.hidden || beside(this.lens, this.enlarged.getBoundingClientRect())
    addEventListener('scroll', this.scrolled, { capture: true, passive: true })
  }

  close() {
    views.delete(this)
    this.watch.disconnect()
    removeEventListener('scroll', this.scrolled, { capture: true })
  }

  // Only what changed is done: another choice moves a ring, other pixels are drawn into the same places.
  update(data, send) {
    this.data = data
    this.send = send
    const shape = JSON.stringify({ ...data, selected: 0, sprite: 0, note: 0, lines: 0, words: 0 })
    if (shape !== this.shape) this.build()
    this.shape = shape
    this.write()
    this.load()
    this.select(data.selected)
    this.layout()
  }

  // --- what is there -----------------------------------------------------------------------------

  build() {
    const { data, sheet } = this
    const within = this.root.getRootNode().activeElement?.closest('.tile')?.dataset.index
    this.tiles = new Map()
    this.painted = ''
    this.hideLens()
    sheet.replaceChildren()
    sheet.classList.toggle('across', data.across)
    sheet.classList.toggle('pick', !!data.pick)
    sheet.setAttribute('role', data.pick ? 'listbox' : 'group')
    if (data.pick) sheet.setAttribute('aria-multiselectable', data.pick === 'many')
    else sheet.removeAttribute('aria-multiselectable')
    this.names = []
    for (const [name, count] of data.groups) this.addGroup(name, count)
    this.current = this.tiles.has(+within) ? +within : 0
    if (this.tiles.has(+within)) this.tiles.get(+within).focus({ preventScroll: true })
  }

  addGroup(name, count) {
    const group = add(this.sheet, 'div', 'group')
    if (name) {
      group.setAttribute('role', 'group')
      group.setAttribute('aria-label', name)
      const shown = add(group, 'div', 'name')
      shown.setAttribute('aria-hidden', 'true')
      shown.title = shown.textContent = name
      this.names.push(shown)
    } else group.setAttribute('role', 'presentation')
    const places = add(group, 'div', 'tiles')
    places.setAttribute('role', 'presentation')
    for (let i = 0; i < count; i++) this.addTile(places, this.tiles.size)
  }

  addTile(places, index) {
    const { data } = this
    const tile = add(places, 'div', 'tile')
    tile.dataset.index = index
    tile.setAttribute('role', data.pick ? 'option' : 'img')
    const picture = add(tile, 'canvas', '')
    picture.width = data.width
    picture.height = data.height
    if (data.lines) add(tile, 'div', 'line').setAttribute('aria-hidden', 'true')
    if (data.borders) picture.style.borderColor = data.borders[index]
    this.tiles.set(index, tile)
  }

  write() {
    const { data } = this
    this.sheet.setAttribute('aria-label', data.label)
    const letters = Math.max(0, ...(data.lines ?? []).map(line => line.length))
    this.line = data.lines ? Math.max(48, Math.min(14, letters) * 6.5 + 6) : 0 // screen pixels
    for (const [index, tile] of this.tiles) {
      const [line, words] = [data.lines?.[index] ?? '', data.words[index]]
      // What is seen below an image is a part of its name, for those who speak it.
      tile.setAttribute('aria-label', words.includes(line) ? words : `${line}, ${words}`)
      if (data.lines) tile.lastChild.textContent = line
    }
  }

  load() {
    const wanted = this.data.sprite
    if (wanted === this.painted) return
    const sprite = new Image()
    sprite.onload = () => {
      if (wanted !== this.data.sprite) return // another one came meanwhile
      this.sprite = sprite
      this.painted = wanted
      for (const [index, tile] of this.tiles) this.paint(tile.firstChild, index)
      this.root.dataset.painted = wanted
    }
    sprite.src = wanted
  }

  paint(canvas, index) {
    const { columns, width, height } = this.data
    const x = (index % columns) * width, y = Math.floor(index / columns) * height
    const context = canvas.getContext('2d')
    context.drawImage(this.sprite, x, y, width, height, 0, 0, width, height)
  }

  // --- how large ---------------------------------------------------------------------------------

  resized() {
    const width = this.root.clientWidth
    const wider = width - this.width
    if (!width || wider === 0 || (wider > 0 && wider < SCROLLBAR && this.width)) return
    this.width = width
    this.layout()
  }

  // Screen pixels of images, and how many lie beside each other, at k device pixels for a pixel.
  plan(k) {
    const { data } = this
    const ratio = devicePixelRatio || 1
    const frame = data.borders ? 8 : 0, gap = data.pick ? 4 : 3
    const width = (data.width * k) / ratio, height = (data.height * k) / ratio
    const cell = Math.max(width + frame, this.line)
    const line = data.lines ? 18 : 0, name = this.names.length ? 20 : 0
    const sizes = data.groups.map(([, count]) => count)
    const most = this.longest
    const beside = data.across || !name ? 0 : this.gutter
    const room = Math.floor((this.width - gap - beside) / (cell + gap))
    const columns = Math.max(1, Math.min(room, data.across ? sizes.length : most))
    const tall = rows => rows * (height + frame + line + gap) // neighbours share a gap
    const lines = data.across
      ? Math.ceil(sizes.length / columns) * (tall(most) + gap + name)
      : sizes.reduce((sum, size) => sum + tall(Math.ceil(size / columns)), gap)
    const whole = !data.across || columns === sizes.length
    return { k, width, height, cell, gap, columns, fits: room >= 1 && whole, lines }
  }

  get longest() {
    return Math.max(...this.data.groups.map(([, count]) => count))
  }

  choose() {
    const { data } = this
    const ratio = devicePixelRatio || 1, side = Math.max(data.width, data.height)
    const least = Math.max(1, Math.ceil((LEAST * ratio) / side))
    const wanted = data.size || LARGEST
    let k = Math.max(1, Math.floor((wanted * ratio) / side))
    if (data.size) {
      while (k > 1 && this.plan(k).cell + 2 * this.plan(k).gap > this.width) k--
      return this.plan(k)
    }
    for (; k > least; k--) {
      const plan = this.plan(k)
      if (plan.fits && plan.lines <= data.room) return plan
    }
    for (; k > 1 && this.plan(k).cell + 2 * this.plan(k).gap > this.width; k--);
    return this.plan(k)
  }

  layout() {
    if (!this.width || !this.tiles) return
    this.sheet.style.setProperty('--gutter', 'auto')
    this.sheet.classList.remove('bare')
    const widths = this.names.map(name => Math.ceil(name.getBoundingClientRect().width))
    this.gutter = Math.min(120, Math.max(0, ...widths))
    let plan = this.choose()
    if (this.gutter && !this.data.across && plan.columns < this.longest) {
      const gutter = this.gutter // names that would break rows which fit without them are only spoken
      this.gutter = 0
      const bare = this.choose()
      if (bare.columns === this.longest) plan = bare
      else this.gutter = gutter
    }
    this.sheet.classList.toggle('bare', !this.gutter)
    this.best = plan.k
    const { together } = this.data
    const same = together ? [...views].filter(view => view.data?.together === together && view.best) : [this]
    const k = Math.min(...same.map(view => view.best))
    for (const view of same) view.draw(k)
  }

  draw(k) {
    const plan = this.plan(k)
    for (const [name, value] of Object.entries({
      width: plan.width + 'px', height: plan.height + 'px', cell: plan.cell + 'px',
      gap: plan.gap + 'px', columns: plan.columns, gutter: this.gutter + 'px',
      border: this.data.borders ? '4px' : '0px' }))
      this.sheet.style.setProperty('--' + name, value)
    this.root.dataset.scale = k
    const drawn = k === 1 ? 'Shown pixel for pixel.' : `Each pixel is drawn ${k} × ${k}.`
    this.note.textContent = this.data.note === null ? '' : `${drawn} ${this.data.note}`
  }

  // --- choosing ----------------------------------------------------------------------------------

  select(indices) {
    this.selected = indices.filter(index => this.tiles.has(index))
    if (this.selected.length && !this.selected.includes(this.current))
      if (!this.root.getRootNode().activeElement) this.current = this.selected[0]
    for (const [index, tile] of this.tiles) {
      const chosen = this.selected.includes(index)
      if (this.data.pick) tile.setAttribute('aria-selected', chosen)
      tile.tabIndex = index === this.current ? 0 : -1
    }
  }

  choosePicture(index, more) {
    const { pick, required } = this.data
    if (!pick) return
    const now = this.selected, there = now.includes(index)
    let next = [index]
    if (pick === 'many' && more) next = there ? now.filter(other => other !== index) : [...now, index]
    else if (there && now.length === 1 && !required) next = []
    if (required && !next.length) return
    this.select(next)
    this.send(next)
  }

  clicked(event) {
    const tile = event.target.closest('.tile')
    if (!tile) return
    this.goTo(tile)
    if (this.data.pick) this.hideLens() // what was chosen is shown elsewhere
    this.choosePicture(+tile.dataset.index, event.shiftKey || event.ctrlKey || event.metaKey)
  }

  goTo(tile) {
    this.tiles.get(this.current).tabIndex = -1
    this.current = +tile.dataset.index
    tile.tabIndex = 0
    tile.scrollIntoView({ block: 'nearest', inline: 'nearest' })
    tile.focus({ preventScroll: true })
  }

  pressed(event) {
    const tile = this.tiles.get(this.current)
    if (event.altKey || event.ctrlKey || event.metaKey) return
    const every = [...this.tiles.values()]
    if (STEPS[event.key]) this.goTo(this.next(tile, ...STEPS[event.key]))
    else if (event.key === 'Home') this.goTo(every[0])
    else if (event.key === 'End') this.goTo(every.at(-1))
    else if (event.key === 'Enter' || event.key === ' ') this.choosePicture(this.current, event.shiftKey)
    else if (event.key === '?') this.keys.hidden = !this.keys.hidden
    else if (event.key === 'Escape' && !this.lens.hidden) this.hideLens()
    else if (event.key === 'Escape' && this.data.pick && !this.data.required && this.selected.length) {
      this.select([])
      this.send([])
    } else return
    event.preventDefault()
    event.stopPropagation()
  }

  // The nearest image in a direction, as the eye finds it; at an edge the next one in order.
  next(from, right, down) {
    const here = from.getBoundingClientRect()
    let best = null, least = Infinity
    for (const tile of this.tiles.values()) {
      const there = tile.getBoundingClientRect()
      const x = there.left - here.left, y = there.top - here.top
      const along = right * x + down * y, across = Math.abs(right ? y : x)
      if (along < 1 || across > (right ? here.height : here.width) / 2) continue
      if (along < least) [best, least] = [tile, along]
    }
    const every = [...this.tiles.values()]
    return best ?? every[every.indexOf(from) + right + down] ?? from
  }

  // --- the enlarged image ------------------------------------------------------------------------

  pointed(event) {
    const tile = event.target.closest('.tile')
    if (!tile || event.pointerType === 'touch') this.hideLens()
    else this.showLens(tile)
  }

  focused(event) {
    const tile = event.target.closest('.tile')
    if (tile?.matches(':focus-visible')) this.showLens(tile)
  }

  showLens(tile) {
    if (!this.sprite) return
    const { width, height } = this.data
    const [picture, words] = this.lens.children
    const ratio = devicePixelRatio || 1
    const k = Math.max(1, Math.floor((LENS * ratio) / Math.max(width, height)))
    picture.width = width
    picture.height = height
    picture.style.width = (width * k) / ratio + 'px'
    picture.style.height = (height * k) / ratio + 'px'
    this.paint(picture, +tile.dataset.index)
    words.textContent = this.data.words[+tile.dataset.index]
    this.lens.hidden = false
    this.enlarged = tile
    beside(this.lens, tile.getBoundingClientRect())
  }

  hideLens() {
    this.lens.hidden = true
  }
}
