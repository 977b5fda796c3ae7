'use strict';

const FORMAT = 'pg2aug review 1';
const CARD_WIDTH = 560; // least width of a card, in px
const LINE_HEIGHT = 46; // of a card without its picture: caption, padding and border
const SPARE_ROWS = 2; // rows above and below the visible ones
const EXTREMES = 6;

const data = JSON.parse(document.getElementById('data').textContent);
const items = data.items.map((row) => Object.fromEntries(data.columns.map((name, k) => [name, row[k]])));
const $ = (id) => document.getElementById(id);
const share = (item) => (item.labelled ? item.passed / item.labelled : 0);
const percent = (value) => (value > 0 && value < 0.005 ? 'under 1 %' : `${Math.round(100 * value)} %`);
const number = (value) => value.toLocaleString('en');

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function decileName(decile) {
  if (decile < 0) return 'unknown';
  if (decile === 0) return '0 (commonest)';
  return decile === 9 ? '9 (rarest)' : String(decile);
}

// ---- what is kept in the browser: one key an item, so that an answer is a short write ----

const PREFIX = `pg2aug-review/${data.data_set}/`;
const reviews = new Map();

function loadReviews() {
  reviews.clear();
  try {
    for (let n = 0; n < localStorage.length; n += 1) {
      const key = localStorage.key(n);
      if (key.startsWith(PREFIX)) reviews.set(Number(key.slice(PREFIX.length)), JSON.parse(localStorage.getItem(key)));
    }
  } catch {
    warnUnkept();
  }
}

function warnUnkept() {
  $('warning').textContent = 'This browser does not let the page keep your answers. Export them before you close or reload it.';
  $('warning').hidden = false;
}

const reviewOf = (item) => reviews.get(item.id) ?? { verdict: null, comment: '' };

function setReview(item, change) {
  const review = { ...reviewOf(item), ...change };
  const empty = review.verdict === null && review.comment === '';
  if (empty) reviews.delete(item.id);
  else reviews.set(item.id, review);
  try {
    if (empty) localStorage.removeItem(PREFIX + item.id);
    else localStorage.setItem(PREFIX + item.id, JSON.stringify(review));
  } catch {
    warnUnkept();
  }
  refreshCard(item);
  showProgress();
}

function exportReview() {
  const ids = [...reviews.keys()].sort((a, b) => a - b);
  const content = {
    format: FORMAT,
    data_set: data.data_set,
    annotation_file: data.annotation_file,
    reviews: ids.map((id) => ({ annotation_id: id, ...reviews.get(id) })),
  };
  const blob = new Blob([JSON.stringify(content, null, 1)], { type: 'application/json' });
  const link = element('a', { href: URL.createObjectURL(blob), download: 'review.json' });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

// ---- gallery: only the cards in view exist ----

let listed = items;
let cursor = 0;
let columns = 1;
let rowHeight = 200;
const cards = new Map(); // by place in the list

const ORDERS = {
  id: () => 0,
  rarest: (a, b) => b.rarity - a.rarity,
  commonest: (a, b) => a.rarity - b.rarity,
  worst: (a, b) => share(a) - share(b),
  best: (a, b) => share(b) - share(a),
  source: (a, b) => (a.source < b.source ? -1 : Number(a.source > b.source)),
};

function inState(item, state) {
  const { verdict, comment } = reviewOf(item);
  if (state === 'open') return verdict === null;
  return state === 'all' || (state === 'comment' ? comment !== '' : verdict === state);
}

function applyFilters() {
  const [from, to, score] = ['decile-from', 'decile-to', 'score'].map((id) => Number($(id).value));
  const wanted = $('source').value.trim().toLowerCase();
  const current = listed[cursor];
  listed = items
    .filter((item) => item.decile >= from && item.decile <= to && share(item) >= score)
    .filter((item) => item.source.toLowerCase().includes(wanted) && inState(item, $('state').value))
    .sort(ORDERS[$('sort').value]);
  cursor = Math.max(0, listed.indexOf(current));
  $('none').hidden = listed.length > 0;
  const part = data.num_made > items.length ? `, a random choice of ${number(data.num_made)}` : '';
  $('shown').textContent = `${number(listed.length)} of ${number(items.length)} shown${part}`;
  for (const card of cards.values()) card.remove();
  cards.clear();
  layOut();
  reveal();
}

function layOut() {
  const width = $('grid').clientWidth;
  if (!width) return; // hidden: laid out when it is shown
  columns = Math.max(1, Math.floor(width / CARD_WIDTH));
  rowHeight = Math.round((width / columns - 18) / 4) + LINE_HEIGHT;
  $('grid').style.height = `${Math.ceil(listed.length / columns) * rowHeight}px`;
  for (const [place, card] of cards) position(card, place);
  render();
}

function position(card, place) {
  const left = (100 * (place % columns)) / columns;
  card.style.cssText = `left:${left}%;top:${Math.floor(place / columns) * rowHeight}px;width:${100 / columns}%`;
}

function render() {
  const { scrollTop, clientHeight } = $('scroller');
  const first = Math.max(0, Math.floor(scrollTop / rowHeight) - SPARE_ROWS) * columns;
  const last = Math.min(listed.length, (Math.ceil((scrollTop + clientHeight) / rowHeight) + SPARE_ROWS) * columns);
  for (const [place, card] of cards) {
    if (place >= first && place < last) continue;
    card.remove();
    cards.delete(place);
  }
  for (let place = first; place < last; place += 1) {
    if (cards.has(place)) continue;
    const card = makeCard(place);
    cards.set(place, card);
    $('grid').append(card);
  }
  markCursor();
}

function makeCard(place) {
  const item = listed[place];
  const card = element('div', { role: 'option', id: `item-${item.id}`, 'aria-setsize': listed.length, 'aria-posinset': place + 1 });
  const line = element(
    'div',
    { class: 'line' },
    element('span', {}, `rarity ${item.decile}`),
    element('span', {}, `${item.passed}/${item.labelled} joints`),
    element('span', { class: 'name' }, item.source),
    element('span', { class: 'verdict' }),
  );
  card.append(element('img', { src: strip(item), alt: `person ${item.id}`, decoding: 'async', draggable: 'false' }), line);
  card.onclick = () => {
    moveTo(place);
    openDetail();
  };
  position(card, place);
  fillVerdict(card, item);
  return card;
}

const strip = (item) => `made/${item.id}.jpg`;

function fillVerdict(card, item) {
  const { verdict, comment } = reviewOf(item);
  card.className = `card ${verdict ?? ''}`;
  const text = { accept: '✓ accepted', reject: '✗ rejected' }[verdict] ?? '';
  card.querySelector('.verdict').textContent = comment ? `${text} ✎` : text;
}

function refreshCard(item) {
  const card = $(`item-${item.id}`);
  if (card) fillVerdict(card, item);
  if ($('detail').open && listed[cursor] === item) fillDetail();
}

function markCursor() {
  for (const [place, card] of cards) card.setAttribute('aria-selected', String(place === cursor));
  const item = listed[cursor];
  if (item) $('scroller').setAttribute('aria-activedescendant', `item-${item.id}`);
  else $('scroller').removeAttribute('aria-activedescendant');
}

function moveTo(place) {
  if (!listed.length) return;
  cursor = Math.min(Math.max(place, 0), listed.length - 1);
  reveal();
  if ($('detail').open) fillDetail();
}

function reveal() {
  const top = Math.floor(cursor / columns) * rowHeight;
  const { scrollTop, clientHeight } = $('scroller');
  if (top < scrollTop) $('scroller').scrollTop = top;
  else if (top + rowHeight > scrollTop + clientHeight) $('scroller').scrollTop = top + rowHeight - clientHeight;
  render();
}

function showProgress() {
  const verdicts = items.map((item) => reviewOf(item).verdict);
  const [accepted, rejected] = ['accept', 'reject'].map((verdict) => verdicts.filter((v) => v === verdict).length);
  const open = items.length - accepted - rejected;
  $('progress').textContent = `${number(accepted)} accepted, ${number(rejected)} rejected, ${number(open)} not reviewed`;
}

// ---- one item, enlarged ----

function openDetail() {
  if (!listed.length) return;
  fillDetail();
  if ($('detail').open) return;
  $('detail').showModal();
  // Not its link, which Enter would open.
  $('detail').focus();
}

function fillDetail() {
  const item = listed[cursor];
  const { verdict, comment } = reviewOf(item);
  $('detail-title').textContent = `Person ${item.id}, ${number(cursor + 1)} of ${number(listed.length)}`;
  $('whole').href = `../${data.image_folder}/${item.file}`.split('/').map(encodeURIComponent).join('/');
  $('large').src = strip(item);
  $('detail-text').textContent =
    `${item.file}, from ${item.source} (annotation ${item.person}). Pose ${item.pose} of the bank, rarity ` +
    `${decileName(item.decile)}. ${item.passed} of ${item.labelled} joints passed; a ring marks those that failed.`;
  $('accept').setAttribute('aria-pressed', String(verdict === 'accept'));
  $('reject').setAttribute('aria-pressed', String(verdict === 'reject'));
  if (document.activeElement !== $('comment')) $('comment').value = comment;
}

function judge(verdict) {
  const item = listed[cursor];
  if (!item) return;
  setReview(item, { verdict });
  if (verdict !== null) moveTo(cursor + 1);
}

const KEYS = {
  a: () => judge('accept'),
  r: () => judge('reject'),
  u: () => judge(null),
  c: () => {
    openDetail();
    $('comment').focus();
  },
  arrowright: () => moveTo(cursor + 1),
  arrowleft: () => moveTo(cursor - 1),
  arrowdown: () => moveTo(cursor + ($('detail').open ? 1 : columns)),
  arrowup: () => moveTo(cursor - ($('detail').open ? 1 : columns)),
  pagedown: () => moveTo(cursor + columns * Math.max(1, Math.floor($('scroller').clientHeight / rowHeight))),
  pageup: () => moveTo(cursor - columns * Math.max(1, Math.floor($('scroller').clientHeight / rowHeight))),
  home: () => moveTo(0),
  end: () => moveTo(listed.length - 1),
  enter: openDetail,
};

function onKey(event) {
  if ($('gallery').hidden || event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = event.target.matches('input, select, textarea');
  if (typing) {
    // Enter and Escape end a comment; the dialog stays.
    if (event.target === $('comment') && ['Enter', 'Escape'].includes(event.key)) {
      event.preventDefault();
      $('close').focus();
    }
    return;
  }
  const name = event.key.toLowerCase();
  if (name === 'enter' && event.target.matches('button, a')) return;
  // Held down, a verdict would run through the whole list.
  if (!KEYS[name] || (event.repeat && 'arcu'.includes(name))) return;
  event.preventDefault();
  KEYS[name]();
}

// ---- overview and refused attempts ----

const bar = (value, kind = '') => {
  const made = element('span', { class: `bar ${kind}` });
  made.style.setProperty('--share', value);
  return made;
};
const row = (title, ...cells) => element('tr', {}, element('th', { scope: 'row' }, title), ...cells.map((cell) => element('td', {}, ...cell)));
const counted = (pair) => (pair && pair[0] ? [bar(pair[1] / pair[0]), `${percent(pair[1] / pair[0])} of ${number(pair[0])}`] : ['-']);

function figure(image, ...caption) {
  const picture = element('img', { src: image, alt: caption.map((part) => part.textContent ?? part).join(' '), loading: 'lazy' });
  return element('figure', {}, picture, element('figcaption', {}, ...caption));
}

function showOverview() {
  const refusedCount = data.reasons.reduce((sum, [, count]) => sum + count, 0);
  const tiles = {
    images: data.num_images,
    annotations: data.num_annotations,
    'new persons': data.num_made,
    'different poses': data.num_poses,
    'persons in your data': data.num_posed,
    'used as sources': data.num_sources,
    'attempts refused': refusedCount,
  };
  for (const [name, value] of Object.entries(tiles)) {
    $('tiles').append(element('div', {}, element('dt', {}, name), element('dd', {}, number(value))));
  }
  showRarity();
  const byJoint = Object.entries(data.label_check.by_joint ?? {});
  $('joint-table').tBodies[0].append(...byJoint.map(([name, pair]) => row(name.replaceAll('_', ' '), counted(pair))));
  fillRows('reason-table', data.reasons.map(([name, count]) => [name, number(count)]));
  fillRows('left-out-table', Object.entries(data.left_out).map(([name, { count, first }]) => [name, number(count), first]));
  showRegions();
  // Each pose once: of those who were put into it, the first that was made.
  const ranked = [...new Map([...items].reverse().map((item) => [item.pose, item])).values()].sort(ORDERS.rarest);
  const describe = (item) => figure(strip(item), element('b', {}, `rarity ${decileName(item.decile)}`), `, pose ${item.pose}, ${item.source}`);
  $('rarest').append(...ranked.slice(0, EXTREMES).map(describe));
  $('commonest').append(...ranked.slice(-EXTREMES).reverse().map(describe));
}

function showRarity() {
  const { overall, judged, before, made: added, by_rarity: covered, radius, shared } = data.coverage;
  $('coverage-text').textContent =
    `Covered: of ${number(judged)} poses of the bank, your data set has ${percent(overall[0])} before and ${percent(overall[1])} after. ` +
    `A pose counts if some person's label has at least ${percent(shared)} of its joints and is, over these, at most ${radius} of the body's size ` +
    'away from it or its mirror image, root mean square. ' +
    `Before, the labels are those of ${number(before)} persons of yours; after, those of ${number(added)} new persons too, without the joints that failed the label check. ` +
    'Poses that the bank took from your own data are covered from the start.';
  const most = Math.max(1, ...data.made_by_rarity);
  for (let decile = 0; decile < 10; decile += 1) {
    const made = data.made_by_rarity[decile];
    const pair = covered[decile];
    const cells = [0, 1].map((when) => (pair ? [bar(pair[when], when ? 'after' : ''), percent(pair[when])] : ['-']));
    const judgedCounts = data.label_check.by_rarity?.[decile];
    $('rarity-table').tBodies[0].append(row(decileName(decile), [bar(made / most), number(made)], counted(judgedCounts), ...cells));
  }
}

function showRegions() {
  const { regions } = data;
  $('regions').hidden = !regions.length;
  if (!regions.length) return;
  const sum = (name) => number(regions.reduce((total, region) => total + region[name], 0));
  $('regions-text').textContent =
    `Pose space in ${regions.length} regions, each drawn as the pose in its middle, the emptiest first. Before: the ${sum('before')} persons of your data ` +
    `set whose pose is plausible. Planned: ${sum('planned')} new ones. After: what there is with the ${sum('made')} that were made, counted by the pose they were put into.`;
  const most = Math.max(1, ...regions.map(({ before, planned, made }) => before + Math.max(planned, made)));
  const cards = regions.map(({ pose, before, planned, made }) => {
    const line = (name, value, text, kind) => row(name, [bar(value / most, kind)], [text]);
    const body = element('tbody', {}, line('before', before, number(before)), line('planned', before + planned, `${number(before)} + ${number(planned)}`));
    body.append(line('after', before + made, `${number(before)} + ${number(made)}`, 'after'));
    const picture = element('img', { src: `regions/${pose}.jpg`, alt: `pose ${pose} of the bank`, loading: 'lazy' });
    return element('figure', { class: 'region' }, picture, element('table', {}, body));
  });
  $('region-list').append(...cards);
}

function fillRows(table, lines) {
  const rows = lines.map(([name, ...cells]) => row(name, ...cells.map((cell) => [cell])));
  $(table).tBodies[0].append(...(rows.length ? rows : [row('none', ['0'])]));
}

function showRefused() {
  const reason = $('reason').value;
  const shown = data.refused.map((entry, place) => [entry, place]).filter(([entry]) => !reason || entry.reason === reason);
  const cards = shown.map(([entry, place]) => {
    const failed = entry.failed.length ? `. Failed: ${entry.failed.join(', ').replaceAll('_', ' ')}` : '';
    const rest = `${entry.detail ? `: ${entry.detail}` : ''}${failed}. Attempt ${entry.attempt}, annotation ${entry.person}, pose ${entry.pose}, rarity ${entry.decile}`;
    return figure(`refused/${place}.jpg`, element('b', {}, entry.reason), rest);
  });
  $('refused-list').replaceChildren(...(cards.length ? cards : [element('p', {}, 'No attempt was refused.')]));
}

// ---- start ----

const TABS = ['overview', 'gallery', 'refused'];

function showTab(name) {
  for (const tab of TABS) {
    $(tab).hidden = tab !== name;
    $(`tab-${tab}`).setAttribute('aria-selected', String(tab === name));
  }
  // Not the element's own id, which the browser would scroll to and focus.
  history.replaceState(null, '', `#show-${name}`);
  if (name !== 'gallery') return;
  layOut();
  reveal();
  $('scroller').focus();
}

function fillChoices() {
  for (let decile = 0; decile < 10; decile += 1) {
    for (const id of ['decile-from', 'decile-to']) $(id).append(new Option(decileName(decile), decile));
  }
  // Poses that can no longer be drawn have decile -1 and are shown with the commonest.
  $('decile-from').options[0].value = -1;
  $('decile-to').value = 9;
  for (const least of [0, 0.5, 0.7, 0.8, 0.9, 1]) $('score').append(new Option(least ? `at least ${percent(least)}` : 'any', least));
  $('reason').append(new Option('all', ''), ...data.reasons.map(([reason, count]) => new Option(`${reason} (${number(count)})`, reason)));
}

for (const tab of TABS) $(`tab-${tab}`).onclick = () => showTab(tab);
fillChoices();
loadReviews();
showOverview();
showRefused();
showProgress();
$('filters').oninput = applyFilters;
$('filters').onsubmit = (event) => event.preventDefault();
$('reason').oninput = showRefused;
$('export').onclick = exportReview;
$('accept').onclick = () => judge('accept');
$('reject').onclick = () => judge('reject');
$('undo').onclick = () => judge(null);
$('close').onclick = () => $('detail').close();
$('detail').onclose = () => $('scroller').focus();
$('comment').oninput = () => setReview(listed[cursor], { comment: $('comment').value });
$('scroller').addEventListener('scroll', render, { passive: true });
new ResizeObserver(layOut).observe($('scroller'));
document.addEventListener('keydown', onKey);
window.addEventListener('storage', () => {
  loadReviews();
  applyFilters();
  showProgress();
});
applyFilters();
showTab(TABS.find((tab) => location.hash === `#show-${tab}`) ?? TABS[0]);
