// The browser's part of `wipe.py`: one picture over another, uncovered as far as the mouse or the slider says.

export default function ({ data, parentElement }) {
  const root = parentElement.querySelector('.wipe')
  root.view ??= new View(root)
  root.view.update(data)
  return () => root.view.close()
}

class View {
  constructor(root) {
    this.root = root
    this.frame = root.querySelector('.frame')
    this.layers = root.querySelectorAll('canvas')
    this.slider = root.querySelector('input')
    this.watch = new ResizeObserver(() => this.layout())
    this.watch.observe(root)
    this.slider.oninput = () => this.uncover()
    this.frame.onpointermove = event => this.pointed(event)
    this.frame.onpointerdown = event => this.pointed(event)
  }

  close() {
    this.watch.disconnect()
  }

  update(data) {
    this.data = data
    this.frame.setAttribute('aria-label', data.label)
    for (const [place, name] of data.names.entries())
      this.root.querySelectorAll('span')[place].textContent = name
    data.pictures.forEach((address, place) => {
      const picture = new Image()
      picture.onload = () => {
        if (data !== this.data) return
        const layer = this.layers[place]
        layer.width = data.width
        layer.height = data.height
        layer.getContext('2d').drawImage(picture, 0, 0)
      }
      picture.src = address
    })
    this.root.querySelector('p').textContent = data.note
    this.layout()
    this.uncover()
  }

  layout() {
    if (!this.data || !this.root.clientWidth) return
    const { width, height, room } = this.data
    const ratio = devicePixelRatio || 1
    const fits = Math.min((this.root.clientWidth - 4) / width, room / height)
    const k = Math.max(1, Math.floor(fits * ratio))
    for (const layer of this.layers) {
      layer.style.width = (width * k) / ratio + 'px'
      layer.style.height = (height * k) / ratio + 'px'
    }
    this.root.dataset.scale = k
  }

  pointed(event) {
    const box = this.frame.getBoundingClientRect()
    this.slider.value = (100 * (event.clientX - box.left)) / box.width
    this.uncover()
  }

  uncover() {
    const share = +this.slider.value
    this.layers[1].style.clipPath = `inset(0 0 0 ${share}%)`
    this.root.querySelector('.edge').style.left = share + '%'
  }
}
