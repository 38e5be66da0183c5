// Follows the figure with the given class name, which Streamlit may draw anew at any time: shows the image of
// the point under the mouse and, where it is asked for, images in place of the points.
export default function({data, parentElement}) {
  const {width, height, columns, first, scale} = data
  const picture = new Image()
  const tip = document.createElement('div')
  tip.setAttribute('aria-hidden', 'true')
  Object.assign(tip.style, {position: 'fixed', display: 'none', pointerEvents: 'none', zIndex: 1e6,
    width: width * scale + 'px', height: height * scale + 'px',
    border: '3px solid #808080', imageRendering: 'pixelated',
    backgroundImage: `url(${data.sprite})`,
    backgroundSize: `${columns * width * scale}px auto`})
  document.body.appendChild(tip)
  const layer = document.createElement('canvas')
  layer.className = 'feature-images'
  layer.setAttribute('aria-hidden', 'true')
  Object.assign(layer.style, {position: 'absolute', left: 0, top: 0, pointerEvents: 'none'})
  let plot = null
  const place = row => [row % columns, Math.floor(row / columns)]
  const hide = () => { tip.style.display = 'none' }
  const show = event => {
    const row = event.points[0].customdata?.[0] - first
    if (!(row >= 0)) return hide()
    const [column, line] = place(row)
    tip.style.backgroundPosition = `${-column * width * scale}px ${-line * height * scale}px`
    const {clientX: x, clientY: y} = event.event
    tip.style.left = Math.max(0, x - width * scale - 24) + 'px'
    tip.style.top = Math.max(0, y - height * scale - 24) + 'px'
    tip.style.display = 'block'
  }
  // Every image that has one, distilled ones first; where images would lie on each other the first stays.
  const points = () => {
    const found = []
    for (const trace of plot._fullData ?? []) {
      const x = plot._fullLayout['xaxis' + (trace.xaxis ?? 'x').slice(1)]
      const y = plot._fullLayout['yaxis' + (trace.yaxis ?? 'y').slice(1)]
      if (!trace.customdata || trace.visible !== true || !x?.l2p || !y?.l2p) continue
      const edge = trace.marker?.line?.width > 0 ? trace.marker.line.color : null
      for (let i = 0; i < trace.customdata.length; i++) {
        const row = trace.customdata[i][0] - first, px = x.l2p(trace.x[i]), py = y.l2p(trace.y[i])
        if (row >= 0 && px >= 0 && px <= x._length && py >= 0 && py <= y._length)
          found.push({row, left: x._offset + px, top: y._offset + py, edge})
      }
    }
    return found.sort((one, other) => (other.edge !== null) - (one.edge !== null))
  }
  const paint = () => {
    if (!data.images || !picture.complete || !plot?._fullLayout) return
    const container = plot.querySelector('.svg-container')
    if (!container) return
    if (layer.parentElement !== container) container.appendChild(layer)
    const dense = devicePixelRatio, [wide, high] = [container.clientWidth, container.clientHeight]
    Object.assign(layer, {width: wide * dense, height: high * dense})
    Object.assign(layer.style, {width: wide + 'px', height: high + 'px'})
    const pen = layer.getContext('2d')
    pen.scale(dense, dense)
    pen.imageSmoothingEnabled = false
    const [w, h] = [width * data.each, height * data.each], taken = []
    for (const {row, left, top, edge} of points()) {
      if (taken.some(t => Math.abs(t[0] - left) < w + 2 && Math.abs(t[1] - top) < h + 2)) continue
      taken.push([left, top])
      const [column, line] = place(row), [x, y] = [Math.round(left - w / 2), Math.round(top - h / 2)]
      pen.drawImage(picture, column * width, line * height, width, height, x, y, w, h)
      if (edge) Object.assign(pen, {strokeStyle: edge, lineWidth: 2}).strokeRect(x - 1, y - 1, w + 2, h + 2)
    }
    layer.dataset.shown = taken.length
  }
  const heard = {plotly_hover: show, plotly_unhover: hide, plotly_afterplot: paint, plotly_relayouting: paint}
  const leave = () => {
    for (const [name, react] of Object.entries(heard)) plot?.removeListener?.(name, react)
  }
  const follow = () => {
    const found = document.querySelector(`.${data.plot} .js-plotly-plot`)
    if (!found?.on || found === plot) return
    leave()
    plot = found
    for (const [name, react] of Object.entries(heard)) plot.on(name, react)
    paint()
  }
  picture.onload = paint
  picture.src = data.sprite
  follow()
  const timer = setInterval(follow, 500)
  return () => { clearInterval(timer); leave(); tip.remove(); layer.remove() }
}
