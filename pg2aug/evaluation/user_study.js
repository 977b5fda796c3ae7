'use strict';

const FIXATION_MS = 500;
const FRAME_SLACK_MS = 4; // the frame that comes this much too early is the nearest one to the end
const KEYS = { arrowleft: 'real', r: 'real', arrowright: 'generated', g: 'generated' };
const FORMAT = 'pg2aug user study answers 1';

const study = JSON.parse(document.getElementById('study').textContent);
const { exposure_ms: exposureMs, num_practice: numPractice } = study.protocol;
const images = new Map(study.images.map((image) => [image.id, image]));
const $ = (id) => document.getElementById(id);
const delay = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// ---- order: seeded by the study and the rater, so that it is the same after a reload ----

function seededRandom(text) {
  let state = 2166136261;
  for (const char of text) state = Math.imul(state ^ char.codePointAt(0), 16777619);
  return () => {
    // The finaliser of MurmurHash3 on a Weyl sequence: uniform in [0, 1).
    state = (state + 0x9e3779b9) | 0;
    let bits = state;
    bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
    bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
    return ((bits ^ (bits >>> 16)) >>> 0) / 2 ** 32;
  };
}

function shuffled(items, random) {
  const result = [...items];
  for (let last = result.length - 1; last > 0; last -= 1) {
    const other = Math.floor(random() * (last + 1));
    [result[last], result[other]] = [result[other], result[last]];
  }
  return result;
}

// Practice holds as many real as generated images, and so do the images that count.
function orderFor(rater) {
  const random = seededRandom(`${study.study_id}/${rater}`);
  const ids = (kind) => study.images.filter((image) => image.kind === kind).map((image) => image.id);
  const real = shuffled(ids('real'), random);
  const generated = shuffled(ids('generated'), random);
  const half = numPractice / 2;
  const practice = [...real.slice(0, half), ...generated.slice(0, half)];
  const counted = [...real.slice(half), ...generated.slice(half)];
  return [...shuffled(practice, random), ...shuffled(counted, random)];
}

// ---- what is kept in the browser ----

const storageKey = (rater) => `pg2aug-user-study/${study.study_id}/${rater}`;
const CURRENT_KEY = `pg2aug-user-study-current/${study.study_id}`;

function load(key) {
  try {
    return JSON.parse(localStorage.getItem(key));
  } catch {
    return null;
  }
}

function save(key, value) {
  try {
    localStorage.setItem(key, JSON.stringify(value));
  } catch {
    warn('This browser does not let the page keep your answers. Do not close or reload it before you have downloaded them.');
  }
}

function warn(text) {
  $('warning').textContent = text;
  $('warning').hidden = false;
}

function sessionOf(rater) {
  // `pending` is the image that was shown and not yet answered.
  return load(storageKey(rater)) ?? { rater, started: new Date().toISOString(), trials: [], pending: null };
}

const isComplete = (session) => session.trials.length === images.size;

// ---- a trial ----

// Resolves to the measured exposure in ms, from the frame that shows the image to the one that does not.
function expose() {
  return new Promise((resolve) => {
    let shownAt = null;
    let frame = 0;
    const end = (now) => {
      cancelAnimationFrame(frame);
      document.removeEventListener('visibilitychange', leave);
      $('stage').dataset.show = 'mask';
      resolve(now - shownAt);
    };
    const leave = () => {
      if (document.hidden) end(performance.now());
    };
    const step = (now) => {
      if (shownAt === null) {
        shownAt = now;
        $('stage').dataset.show = 'photo';
        document.addEventListener('visibilitychange', leave);
      } else if (now - shownAt >= exposureMs - FRAME_SLACK_MS) {
        end(now);
        return;
      }
      frame = requestAnimationFrame(step);
    };
    frame = requestAnimationFrame(step);
  });
}

// Resolves to the answer; keys that are held down or part of a shortcut such as Ctrl+R do not count.
function ask() {
  return new Promise((resolve) => {
    const buttons = [$('real'), $('generated')];
    const finish = (answer) => {
      document.removeEventListener('keydown', onKey);
      for (const button of buttons) Object.assign(button, { disabled: true, onclick: null });
      $('trial').classList.remove('asking');
      resolve(answer);
    };
    const onKey = (event) => {
      const answer = KEYS[event.key.toLowerCase()];
      if (!answer || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      finish(answer);
    };
    document.addEventListener('keydown', onKey);
    for (const button of buttons) Object.assign(button, { disabled: false, onclick: () => finish(button.id) });
    $('trial').classList.add('asking');
  });
}

function showProgress(index) {
  const practising = index < numPractice;
  const [number, total] = practising ? [index + 1, numPractice] : [index + 1 - numPractice, images.size - numPractice];
  $('progress-text').textContent = `${practising ? 'Practice' : 'Image'} ${number} of ${total}`;
  Object.assign($('progress'), { max: total, value: number - 1 });
}

async function showImage(session, id) {
  $('question').textContent = 'Was it real or generated?';
  $('stage').dataset.show = 'cross';
  $('photo').src = `data:image/png;base64,${images.get(id).png}`;
  await Promise.all([$('photo').decode(), delay(FIXATION_MS)]);
  // Kept before it is shown: an image that a closed page cut short is not shown again.
  session.pending = { image: id, exposure_ms: null };
  save(storageKey(session.rater), session);
  session.pending.exposure_ms = await expose();
  save(storageKey(session.rater), session);
}

async function runTrial(session, id) {
  showProgress(session.trials.length);
  const resumed = session.pending !== null;
  if (resumed) {
    $('stage').dataset.show = 'mask';
    $('question').textContent = 'Was the last image, before this page was closed, real or generated?';
  } else {
    await showImage(session, id);
  }
  const asked = performance.now();
  const answer = await ask();
  session.trials.push({
    image: id,
    kind: images.get(id).kind,
    practice: session.trials.length < numPractice,
    answer,
    exposure_ms: session.pending.exposure_ms,
    response_ms: resumed ? null : performance.now() - asked,
  });
  session.pending = null;
}

async function run(session) {
  const order = orderFor(session.rater);
  show('trial');
  drawMask();
  while (!isComplete(session)) {
    const index = session.trials.length;
    if (index === numPractice && numPractice > 0 && session.pending === null) await pause();
    await runTrial(session, order[index]);
    if (isComplete(session)) Object.assign(session, { finished: new Date().toISOString(), display: displayFacts() });
    save(storageKey(session.rater), session);
  }
  finish(session);
}

async function pause() {
  show('pause');
  $('go-on').focus();
  await new Promise((resolve) => {
    $('go-on').onclick = resolve;
  });
  show('trial');
}

// Coloured squares in middle tones: the after-image goes, and nothing glares.
function drawMask() {
  const columns = 24;
  const rows = Math.max(1, Math.round((columns * study.size[1]) / study.size[0]));
  Object.assign($('mask'), { width: columns, height: rows });
  const context = $('mask').getContext('2d');
  const random = seededRandom('mask');
  for (let cell = 0; cell < columns * rows; cell += 1) {
    const [red, green, blue] = [0, 1, 2].map(() => 60 + Math.floor(100 * random()));
    context.fillStyle = `rgb(${red} ${green} ${blue})`;
    context.fillRect(cell % columns, Math.floor(cell / columns), 1, 1);
  }
}

// ---- the other screens ----

function show(screen) {
  for (const main of document.querySelectorAll('main')) main.hidden = main.id !== screen;
  window.scrollTo(0, 0);
}

function displayFacts() {
  const { width, height } = $('stage').getBoundingClientRect();
  return {
    image_css_px: [width, height],
    window_css_px: [window.innerWidth, window.innerHeight],
    device_pixel_ratio: window.devicePixelRatio,
  };
}

function finish(session) {
  const { pending, ...answers } = session;
  const content = { format: FORMAT, study_id: study.study_id, protocol: study.protocol, ...answers };
  $('file-name').textContent = `answers_${session.rater}.json`;
  $('download').onclick = () => {
    const blob = new Blob([JSON.stringify(content, null, 1)], { type: 'application/json' });
    const link = Object.assign(document.createElement('a'), {
      href: URL.createObjectURL(blob),
      download: `answers_${session.rater}.json`,
    });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  };
  show('done');
  $('download').focus();
}

function describeKnown() {
  const rater = $('rater').value.trim();
  const session = rater && load(storageKey(rater));
  $('start').textContent = session ? (isComplete(session) ? 'To the download' : 'Continue') : 'Start';
  $('known').textContent = session
    ? `${session.trials.length} of ${images.size} images are answered under this code.`
    : '';
}

function showIntro(rater) {
  $('rater').value = rater;
  describeKnown();
  show('intro');
  $(rater ? 'start' : 'rater').focus();
}

function fill(name, text) {
  for (const element of document.querySelectorAll(`.${name}`)) element.textContent = text;
}

$('rater').oninput = describeKnown;
$('next-rater').onclick = () => showIntro('');
$('start-form').onsubmit = (event) => {
  event.preventDefault();
  const session = sessionOf($('rater').value.trim());
  save(CURRENT_KEY, session.rater);
  save(storageKey(session.rater), session);
  run(session).catch((error) => warn(`The study stopped: ${error}. Reload the page to go on.`));
};

document.documentElement.style.setProperty('--aspect', study.size[0] / study.size[1]);
fill('exposure', exposureMs === 1000 ? '1 second' : `${exposureMs / 1000} seconds`);
fill('num-practice', numPractice);
fill('num-all', images.size);
fill('num-counted', images.size - numPractice);
for (const part of document.querySelectorAll('.practice-part')) part.hidden = numPractice === 0;
showIntro(load(CURRENT_KEY) ?? '');
