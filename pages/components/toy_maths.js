// The mathematics of the toy: points in the plane that a small network is trained on, moved along the exact
// gradient of the loss that this network then has on real points. Nothing here touches a page.
//
// A matrix is { rows, cols, data }, row by row in double precision. Operations write themselves onto a tape;
// `backward` walks it from the end, so the gradient goes through every step of training.

export class Matrix {
  constructor(rows, cols, data) {
    this.rows = rows
    this.cols = cols
    this.data = data || new Float64Array(rows * cols)
  }
  static of(rows) {
    return new Matrix(rows.length, rows[0].length, Float64Array.from(rows.flat()))
  }
  lists() {
    return Array.from({ length: this.rows }, (_, i) =>
      Array.from(this.data.subarray(i * this.cols, (i + 1) * this.cols)))
  }
}

// a b, with either of them transposed.
function product(a, b, ta, tb) {
  const n = ta ? a.cols : a.rows
  const m = ta ? a.rows : a.cols
  const p = tb ? b.rows : b.cols
  const made = new Matrix(n, p)
  for (let i = 0; i < n; i++)
    for (let k = 0; k < m; k++) {
      const left = a.data[ta ? k * a.cols + i : i * a.cols + k]
      for (let j = 0; j < p; j++) made.data[i * p + j] += left * b.data[tb ? j * b.cols + k : k * p + j]
    }
  return made
}

function softmaxed(z) {
  const made = new Matrix(z.rows, z.cols)
  for (let i = 0; i < z.rows; i++) {
    const first = i * z.cols
    let top = -Infinity
    let sum = 0
    for (let j = 0; j < z.cols; j++) top = Math.max(top, z.data[first + j])
    for (let j = 0; j < z.cols; j++) sum += made.data[first + j] = Math.exp(z.data[first + j] - top)
    for (let j = 0; j < z.cols; j++) made.data[first + j] /= sum
  }
  return made
}

export class Tape {
  constructor() {
    this.steps = []
  }

  // A value with the function that adds to the gradients of what it was made of.
  keep(value, back) {
    const node = { value, grad: null }
    if (back) this.steps.push(() => node.grad && back(node.grad, node.value))
    return node
  }
  add(node, grad) {
    if (!node.grad) node.grad = new Matrix(node.value.rows, node.value.cols)
    for (let i = 0; i < grad.data.length; i++) node.grad.data[i] += grad.data[i]
  }
  input(value) {
    return this.keep(value)
  }
  backward(node, seed) {
    this.add(node, seed)
    for (let i = this.steps.length - 1; i >= 0; i--) this.steps[i]()
  }

  matmul(a, b) {
    return this.keep(product(a.value, b.value), g => {
      this.add(a, product(g, b.value, false, true))
      this.add(b, product(a.value, g, true, false))
    })
  }
  matmulLeft(a, b) { // aᵀ b
    return this.keep(product(a.value, b.value, true, false), g => {
      this.add(a, product(b.value, g, false, true))
      this.add(b, product(a.value, g))
    })
  }
  matmulRight(a, b) { // a bᵀ
    return this.keep(product(a.value, b.value, false, true), g => {
      this.add(a, product(g, b.value))
      this.add(b, product(g, a.value, true, false))
    })
  }
  plusRow(a, row) {
    const made = new Matrix(a.value.rows, a.value.cols, a.value.data.slice())
    for (let i = 0; i < made.data.length; i++) made.data[i] += row.value.data[i % made.cols]
    return this.keep(made, g => {
      this.add(a, g)
      this.add(row, columnSums(g))
    })
  }
  sumRows(a) {
    const { rows, cols } = a.value
    return this.keep(columnSums(a.value), g => {
      const back = new Matrix(rows, cols)
      for (let i = 0; i < back.data.length; i++) back.data[i] = g.data[i % cols]
      this.add(a, back)
    })
  }
  tanh(a) {
    return this.keep(each(a.value, Math.tanh), (g, h) =>
      this.add(a, each(g, (value, i) => value * (1 - h.data[i] ** 2))))
  }
  // a (1 - h²): the gradient before tanh from the one behind it
  throughTanh(a, h) {
    const made = each(a.value, (value, i) => value * (1 - h.value.data[i] ** 2))
    return this.keep(made, g => {
      this.add(a, each(g, (value, i) => value * (1 - h.value.data[i] ** 2)))
      this.add(h, each(g, (value, i) => -2 * value * a.value.data[i] * h.value.data[i]))
    })
  }
  // (softmax(z) - y) / n: the gradient of the mean cross-entropy
  residual(z, y) {
    const p = softmaxed(z.value)
    const n = p.rows
    return this.keep(each(p, (value, i) => (value - y.data[i]) / n), g => {
      const back = new Matrix(n, p.cols)
      for (let i = 0; i < n; i++) {
        let dot = 0
        for (let j = 0; j < p.cols; j++) dot += g.data[i * p.cols + j] * p.data[i * p.cols + j]
        for (let j = 0; j < p.cols; j++) {
          const at = i * p.cols + j
          back.data[at] = (p.data[at] * (g.data[at] - dot)) / n
        }
      }
      this.add(z, back)
    })
  }
  step(w, g, rate) { // w - rate g
    return this.keep(each(w.value, (value, i) => value - rate * g.value.data[i]), back => {
      this.add(w, back)
      this.add(g, each(back, value => -rate * value))
    })
  }
}

function each(a, f) {
  const made = new Matrix(a.rows, a.cols)
  for (let i = 0; i < made.data.length; i++) made.data[i] = f(a.data[i], i)
  return made
}

function columnSums(a) {
  const made = new Matrix(1, a.cols)
  for (let i = 0; i < a.data.length; i++) made.data[i % a.cols] += a.data[i]
  return made
}

// --- the network: tanh(x W + b) V + c ----------------------------------------------------------------

export const HIDDEN = 16
export const STEPS = 30 // of gradient descent on the points
export const RATE = 1 // their step size

export function network(tape, weights, x) {
  const [w, b, v, c] = weights
  const h = tape.tanh(tape.plusRow(tape.matmul(x, w), b))
  return { h, z: tape.plusRow(tape.matmul(h, v), c) }
}

// The weights after some steps on points x with labels y (one-hot rows).
export function trained(tape, weights, x, y, steps = STEPS, rate = RATE) {
  for (let t = 0; t < steps; t++) {
    const [w, b, v, c] = weights
    const { h, z } = network(tape, weights, x)
    const g = tape.residual(z, y)
    const before = tape.throughTanh(tape.matmulRight(g, v), h)
    const grads = [tape.matmulLeft(x, before), tape.sumRows(before), tape.matmulLeft(h, g), tape.sumRows(g)]
    weights = [w, b, v, c].map((each, i) => tape.step(each, grads[i], rate))
  }
  return weights
}

// The loss on real points after training on x from each of the starts, their mean, and its gradient by x.
export function metaGradient(starts, x, y, real, steps = STEPS, rate = RATE) {
  const grad = new Matrix(x.rows, x.cols)
  let loss = 0
  for (const start of starts) {
    const tape = new Tape()
    const points = tape.input(x)
    const end = trained(tape, start.map(w => tape.input(w)), points, y, steps, rate)
    const { z } = network(tape, end, tape.input(real.x))
    const p = softmaxed(z.value)
    const seed = each(p, (value, i) => (value - real.y.data[i]) / real.x.rows)
    loss += crossEntropy(p, real.y) / starts.length
    tape.backward(z, seed)
    for (let i = 0; i < grad.data.length; i++) grad.data[i] += points.grad.data[i] / starts.length
  }
  return { loss, grad }
}

// The mean cross-entropy of probabilities p.
function crossEntropy(p, y) {
  let sum = 0
  for (let i = 0; i < p.data.length; i++) if (y.data[i]) sum -= y.data[i] * Math.log(p.data[i])
  return sum / p.rows
}

// Probabilities of the classes at x of a network trained on points; plain numbers.
export function predicted(weights, x) {
  const tape = new Tape()
  return softmaxed(network(tape, weights, tape.input(x)).z.value)
}

export function fitted(start, x, y) {
  const tape = new Tape()
  return trained(tape, start.map(w => tape.input(w)), tape.input(x), y)
}

export function accuracy(weights, set) {
  const p = predicted(weights, set.x)
  let right = 0
  for (let i = 0; i < p.rows; i++) {
    const row = Array.from(p.data.subarray(i * p.cols, (i + 1) * p.cols))
    right += set.labels[i] === row.indexOf(Math.max(...row))
  }
  return right / p.rows
}

// --- random numbers and data -------------------------------------------------------------------------

// mulberry32: a stream of numbers in [0, 1) from a whole number.
export function stream(seed) {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

export function normal(random) { // Box-Muller
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
}

export function startWeights(random, classes) {
  const filled = (rows, cols, scale) => each(new Matrix(rows, cols), () => scale * normal(random))
  return [filled(2, HIDDEN, 1), filled(1, HIDDEN, 1), filled(HIDDEN, classes, 1 / Math.sqrt(HIDDEN)),
    new Matrix(1, classes)]
}

const turn = (u, noise, random) => [u[0] + noise * normal(random), u[1] + noise * normal(random)]
export const SETS = {
  moons: { classes: 2, draw: (label, random) => {
    const a = Math.PI * random()
    const at = label ? [1 - Math.cos(a), 0.5 - Math.sin(a)] : [Math.cos(a), Math.sin(a)]
    return turn([at[0] - 0.5, (at[1] - 0.25) * 1.2], 0.12, random)
  } },
  circles: { classes: 2, draw: (label, random) => {
    const a = 2 * Math.PI * random()
    const r = label ? 0.5 : 1.35
    return turn([r * Math.cos(a), r * Math.sin(a)], 0.14, random)
  } },
  chequers: { classes: 2, draw: (label, random) => {
    const left = random() < 0.5
    const up = left === !!label
    return turn([left ? -0.75 : 0.75, up ? 0.75 : -0.75], 0.28, random)
  } },
  arms: { classes: 3, draw: (label, random) => {
    const r = 0.25 + 1.25 * random()
    const a = (2 * Math.PI * label) / 3 + 1.1 * r
    return turn([r * Math.cos(a), r * Math.sin(a)], 0.09, random)
  } },
}

export function oneHot(labels, classes) {
  const y = new Matrix(labels.length, classes)
  labels.forEach((label, i) => (y.data[i * classes + label] = 1))
  return y
}

export function sample(name, count, random) {
  const { classes, draw } = SETS[name]
  const labels = Array.from({ length: count }, (_, i) => i % classes)
  return { x: Matrix.of(labels.map(label => draw(label, random))), labels, y: oneHot(labels, classes) }
}

// --- distilling ------------------------------------------------------------------------------------

export const REAL = 240 // points to learn from, and as many to test on
export const STARTS = 3 // networks that an iteration looks at
export const JUDGES = 5 // networks behind an accuracy

// Points of a data set, k of each class, that begin as noise.
export class Distiller {
  constructor(name, k, seed = 0) {
    this.classes = SETS[name].classes
    this.k = k
    this.real = sample(name, REAL, stream(1))
    this.test = sample(name, REAL, stream(2))
    this.random = stream(1000 + seed)
    const labels = Array.from({ length: k * this.classes }, (_, i) => i % this.classes)
    this.labels = labels
    this.y = oneHot(labels, this.classes)
    this.x = each(new Matrix(labels.length, 2), () => 0.3 * normal(this.random))
    this.judges = Array.from({ length: JUDGES }, (_, i) => startWeights(stream(2000 + i), this.classes))
    this.moments = [new Matrix(this.x.rows, 2), new Matrix(this.x.rows, 2)]
    this.losses = []
  }

  // One iteration: networks that were never seen before, then a step of Adam on the points.
  step(rate = 0.05) {
    const starts = Array.from({ length: STARTS }, () => startWeights(this.random, this.classes))
    const { loss, grad } = metaGradient(starts, this.x, this.y, this.real)
    this.losses.push(loss)
    const t = this.losses.length
    const [m, v] = this.moments
    for (let i = 0; i < grad.data.length; i++) {
      m.data[i] = 0.9 * m.data[i] + 0.1 * grad.data[i]
      v.data[i] = 0.999 * v.data[i] + 0.001 * grad.data[i] ** 2
      const size = Math.sqrt(v.data[i] / (1 - 0.999 ** t)) + 1e-8
      this.x.data[i] -= (rate * m.data[i]) / (1 - 0.9 ** t) / size
    }
    return loss
  }

  // The judges trained on the points, and what they reach on test points.
  judged() {
    const nets = this.judges.map(start => fitted(start, this.x, this.y).map(w => ({ value: w.value })))
    return { nets, accuracies: nets.map(net => accuracy(net, this.test)) }
  }

  // The same judges on as many real points, another draw for each, and on all of them.
  baselines() {
    const few = this.judges.map((start, i) => {
      const random = stream(3000 + i)
      const rows = this.labels.map(label => {
        const own = this.real.labels.flatMap((other, j) => (other === label ? [j] : []))
        return own[Math.floor(random() * own.length)]
      })
      const x = Matrix.of(rows.map(j => Array.from(this.real.x.data.subarray(2 * j, 2 * j + 2))))
      return accuracy(fitted(start, x, this.y), this.test)
    })
    const all = this.judges.map(start => accuracy(fitted(start, this.real.x, this.real.y), this.test))
    return { few, all }
  }
}

export function meanAndSpread(values) {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0)
  return { mean, spread: Math.sqrt(squares / (values.length - 1)) }
}
