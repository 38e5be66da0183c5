// The browser's part of `method_cards.py`: cards in groups, one of which is chosen; a text filters them.

export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector('.methods')
  const find = root.querySelector('input')
  const groups = root.querySelector('.groups')
  const within = root.getRootNode().activeElement?.dataset.name
  groups.replaceChildren()
  groups.setAttribute('aria-label', data.label)
  groups.inert = !!data.locked
  for (const [title, cards] of data.groups) {
    const group = add(groups, 'section', '')
    add(group, 'h2', '', title)
    const places = add(group, 'div', 'cards')
    for (const card of cards) addCard(places, card, data.chosen, name => setTriggerValue('picked', name))
  }
  find.oninput = () => filter(groups, find.value)
  filter(groups, find.value)
  groups.onkeydown = event => pressed(groups, event)
  if (within) groups.querySelector(`[data-name="${within}"]`)?.focus({ preventScroll: true })
}

function add(parent, tag, className, text = '') {
  const made = document.createElement(tag)
  made.className = className
  made.textContent = text
  parent.append(made)
  return made
}

function addCard(parent, card, chosen, send) {
  const made = add(parent, 'button', '')
  made.dataset.name = card.name
  made.dataset.words = `${card.title} ${card.idea}`.toLowerCase()
  made.title = card.idea
  made.setAttribute('role', 'radio')
  made.setAttribute('aria-checked', card.name === chosen)
  made.tabIndex = card.name === chosen ? 0 : -1
  if (card.picture) {
    const picture = add(made, 'img', '')
    picture.src = card.picture
    picture.alt = 'What it made'
  } else add(made, 'span', 'none')
  add(made, 'span', 'title', card.title)
  add(made, 'span', 'small', card.cost)
  made.onclick = () => send(card.name)
}

function filter(groups, text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean)
  for (const group of groups.children) {
    const title = group.firstChild.textContent.toLowerCase()
    for (const card of group.querySelectorAll('button'))
      card.hidden = !words.every(word => `${title} ${card.dataset.words}`.includes(word))
    group.hidden = !group.querySelector('button:not([hidden])')
  }
}

// As in any group of radio buttons: one is in the order of Tab, arrows go on.
function pressed(groups, event) {
  const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key]
  const shown = [...groups.querySelectorAll('button:not([hidden])')]
  const at = shown.indexOf(groups.getRootNode().activeElement)
  if (!by || at < 0) return
  shown[(at + by + shown.length) % shown.length].focus()
  event.preventDefault()
}
