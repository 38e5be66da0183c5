// The browser's part of `toy.py`: draws the plane, moves the points while it plays, says what came out.

const SIZE = 1.9 // the plane is drawn from -SIZE to SIZE
const CELLS = 48 // of the field behind the points, along a side
const EVERY = 5 // iterations between two looks at what networks make of the points
const FRAME_MS = 24 // of a frame that is computed in
const MOST = 600 // iterations after which it pauses by itself
const COLOURS = [[78, 121, 167], [200, 105, 14], [74, 144, 73]]
const SHAPES = ['circle', 'square', 'triangle']

export default function ({ data, parentElement }) {
  const root = parentElement.querySelector('.toy')
  root.view ??= new ToyView(root)
  root.view.update(data)
  return () => root.view.close()
}

class ToyView {
  constructor(root) {
    this.root = root
    this.canvas = root.querySelector('canvas')
    this.find = name => root.querySelector('.' + name)
    this.find('play').onclick = () => this.toggle()
    this.find('step').onclick = () => this.once()
    this.find('again').onclick = () => this.begin(this.seed + 1)
    this.canvas.onkeydown = event => this.pressed(event)
    this.watch = new ResizeObserver(() => this.draw())
    this.watch.observe(this.canvas)
    this.scheme = matchMedia('(prefers-color-scheme: dark)')
  }

  close() {
    this.watch.disconnect()
    this.pause()
  }

  update(data) {
    this.watch.observe(this.canvas)
    const same = this.data && data.set === this.data.set && data.k === this.data.k
    this.data = data
    if (same) this.draw()
    else this.begin(0)
  }

  begin(seed) {
    this.seed = seed
    this.pause()
    this.made = new Distiller(this.data.set, this.data.k, seed)
    const { few, all } = this.made.baselines()
    this.say('few', few)
    this.say('all', all)
    this.look()
  }

  toggle() {
    if (this.playing) return this.pause()
    this.playing = true
    this.until = this.made.losses.length + MOST
    this.find('play').textContent = 'Pause'
    this.tick()
  }

  pause() {
    this.playing = false
    cancelAnimationFrame(this.frame)
    this.find('play').textContent = 'Play'
    if (this.made) this.describe()
  }

  once() {
    this.pause()
    this.made.step()
    this.look()
  }

  tick() {
    this.frame = requestAnimationFrame(() => {
      if (!this.playing || !this.root.isConnected) return
      const end = performance.now() + FRAME_MS
      let looked = false
      do {
        this.made.step()
        if (this.made.losses.length % EVERY === 0) looked = this.look() || true
      } while (performance.now() < end)
      if (!looked) this.draw()
      if (this.made.losses.length >= this.until) this.pause()
      else this.tick()
    })
  }

  pressed(event) {
    const does = { ' ': () => this.toggle(), ArrowRight: () => this.once(), r: () => this.begin(this.seed + 1) }
    if (!does[event.key] || event.ctrlKey || event.metaKey || event.altKey) return
    event.preventDefault()
    event.stopPropagation()
    does[event.key]()
  }

  // Networks trained on the points as they are: what they say of every place, and of test points.
  look() {
    const { nets, accuracies } = this.made.judged()
    this.accuracies = accuracies
    const places = []
    for (let i = 0; i < CELLS; i++)
      for (let j = 0; j < CELLS; j++)
        places.push([((2 * j + 1) / CELLS - 1) * SIZE, (1 - (2 * i + 1) / CELLS) * SIZE])
    const x = Matrix.of(places)
    const all = nets.map(net => predicted(net, x))
    this.field = all[0].data.map((_, i) => all.reduce((sum, p) => sum + p.data[i], 0) / nets.length)
    this.say('made', accuracies)
    const { losses } = this.made
    const loss = losses.length ? `, loss on the real points ${losses.at(-1).toFixed(3)}` : ''
    this.find('state').textContent = `Iteration ${losses.length}${loss}`
    this.draw()
    if (!this.playing) this.describe()
  }

  say(name, values) {
    const { mean, spread } = meanAndSpread(values)
    const row = this.find(name)
    row.querySelector('b').textContent = `${(100 * mean).toFixed(1)} ± ${(100 * spread).toFixed(1)} %`
    row.querySelector('i').style.width = 100 * mean + '%'
  }

  describe() {
    const { labels, x, losses } = this.made
    const where = labels.map((label, i) =>
      `class ${label + 1} at ${x.data[2 * i].toFixed(1)}, ${x.data[2 * i + 1].toFixed(1)}`)
    const { mean } = meanAndSpread(this.accuracies)
    this.canvas.setAttribute('aria-label', `Iteration ${losses.length}: ${labels.length} distilled points among ` +
      `${this.made.real.labels.length} real ones (${where.join('; ')}). Networks trained on them are right on ` +
      `${(100 * mean).toFixed(0)} % of test points. Space plays, right arrow makes one step, r starts again.`)
  }

  // --- drawing -----------------------------------------------------------------------------------

  draw() {
    const side = this.canvas.clientWidth
    if (!this.field || !side) return
    const ratio = devicePixelRatio || 1
    this.canvas.width = this.canvas.height = Math.round(side * ratio)
    const to = this.canvas.getContext('2d')
    to.scale(ratio, ratio)
    this.drawField(to, side)
    const place = v => ((v + SIZE) / (2 * SIZE)) * side
    const { real, labels, x } = this.made
    for (let i = 0; i < real.labels.length; i++)
      this.mark(to, real.labels[i], place(real.x.data[2 * i]), side - place(real.x.data[2 * i + 1]), 2.6, 0.55)
    for (let i = 0; i < labels.length; i++) {
      const at = [place(x.data[2 * i]), side - place(x.data[2 * i + 1])].map(v => Math.min(side - 9, Math.max(9, v)))
      this.mark(to, labels[i], ...at, 8, 1)
    }
  }

  drawField(to, side) {
    const { classes } = this.made
    const back = colour(getComputedStyle(this.root).getPropertyValue('--st-background-color'))
    const picture = new ImageData(CELLS, CELLS)
    for (let i = 0; i < CELLS * CELLS; i++) {
      const p = this.field.subarray(i * classes, (i + 1) * classes)
      for (let c = 0; c < 3; c++) {
        let mixed = 0
        for (let k = 0; k < classes; k++) mixed += p[k] * COLOURS[k][c]
        picture.data[4 * i + c] = 0.62 * back[c] + 0.38 * mixed
      }
      picture.data[4 * i + 3] = 255
    }
    const small = new OffscreenCanvas(CELLS, CELLS)
    small.getContext('2d').putImageData(picture, 0, 0)
    to.imageSmoothingEnabled = true
    to.drawImage(small, 0, 0, side, side)
  }

  // Classes differ by colour and shape; distilled points have a white and a black border.
  mark(to, label, x, y, r, alpha) {
    to.globalAlpha = alpha
    to.fillStyle = `rgb(${COLOURS[label]})`
    to.beginPath()
    const shape = SHAPES[label]
    if (shape === 'circle') to.arc(x, y, r, 0, 2 * Math.PI)
    else if (shape === 'square') to.rect(x - 0.9 * r, y - 0.9 * r, 1.8 * r, 1.8 * r)
    else {
      to.moveTo(x, y - 1.15 * r)
      to.lineTo(x + r, y + 0.75 * r)
      to.lineTo(x - r, y + 0.75 * r)
      to.closePath()
    }
    to.fill()
    if (r > 5)
      for (const [width, line] of [[4, '#000'], [2.4, '#fff']]) {
        to.lineWidth = width
        to.strokeStyle = line
        to.stroke()
      }
    to.globalAlpha = 1
  }
}

function colour(text) {
  const made = new OffscreenCanvas(1, 1).getContext('2d')
  made.fillStyle = text.trim() || '#fff'
  made.fillRect(0, 0, 1, 1)
  return made.getImageData(0, 0, 1, 1).data
}
