// The browser's part of `magnified.py`: one image, each pixel a whole number of screen pixels, and the exact
// values of the pixel under the mouse or under the keyboard's cursor.

const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }

export default function ({ data, parentElement }) {
  const root = parentElement.querySelector('.magnified')
  root.view ??= new View(root)
  root.view.update(data)
  return () => root.view.close()
}

class View {
  constructor(root) {
    this.root = root
    this.frame = root.querySelector('.frame')
    this.canvas = root.querySelector('canvas')
    this.cursor = root.querySelector('.cursor')
    this.words = root.querySelector('.words')
    this.at = null
    this.watch = new ResizeObserver(() => this.layout())
    this.watch.observe(root)
    this.frame.onpointermove = event => this.pointed(event)
    this.frame.onpointerleave = () => this.say(null)
    this.frame.onkeydown = event => this.pressed(event)
    this.frame.onblur = () => this.say(null)
    // Images that are shown together point at the same pixel, wherever the mouse or the keyboard is.
    this.follow = event => {
      const { from, together, at } = event.detail
      if (from !== this && together && together === this.data?.together) this.say(at, true)
    }
    window.addEventListener('magnified', this.follow)
  }

  close() {
    window.removeEventListener('magnified', this.follow)
    this.watch.disconnect()
  }

  update(data) {
    this.data = data
    this.frame.setAttribute('aria-label', data.label)
    const picture = new Image()
    picture.onload = () => {
      if (data !== this.data) return
      this.canvas.width = data.width
      this.canvas.height = data.height
      this.canvas.getContext('2d').drawImage(picture, 0, 0)
    }
    picture.src = data.picture
    this.layout()
    this.say(this.at, true)
  }

  layout() {
    if (!this.data || !this.root.clientWidth) return
    const { width, height, side } = this.data
    const ratio = devicePixelRatio || 1
    const room = Math.min(side, this.root.clientWidth - 4)
    const k = Math.max(1, Math.min(Math.floor((room * ratio) / width), Math.floor((side * ratio) / height)))
    this.pixel = k / ratio
    this.canvas.style.width = width * this.pixel + 'px'
    this.canvas.style.height = height * this.pixel + 'px'
    this.root.dataset.scale = k
  }

  pointed(event) {
    const box = this.canvas.getBoundingClientRect()
    const x = Math.floor((event.clientX - box.left) / this.pixel)
    const y = Math.floor((event.clientY - box.top) / this.pixel)
    this.say([x, y])
  }

  pressed(event) {
    const step = STEPS[event.key]
    if (!step) return
    const [x, y] = this.at ?? [0, 0]
    this.say(this.at ? [x + step[0], y + step[1]] : [0, 0])
    event.preventDefault()
  }

  say(at, followed = false) {
    const { width, height, values, hint } = this.data
    if (at) at = [Math.min(width - 1, Math.max(0, at[0])), Math.min(height - 1, Math.max(0, at[1]))]
    this.at = at
    const told = { from: this, together: this.data.together, at }
    if (!followed) window.dispatchEvent(new CustomEvent('magnified', { detail: told }))
    this.cursor.hidden = !at
    this.words.textContent = hint
    if (!at) return
    const [x, y] = at
    this.words.textContent = `Row ${y}, column ${x}: ${values[y * width + x].join(', ')}`
    Object.assign(this.cursor.style, {
      left: x * this.pixel + 'px', top: y * this.pixel + 'px',
      width: this.pixel + 'px', height: this.pixel + 'px' })
  }
}
