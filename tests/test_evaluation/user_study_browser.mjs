// Takes the user study in Chromium as a rater would, and prints what happened as json.
// node user_study_browser.mjs CHROMIUM WHOLE_PAGE SLOW_PAGE DOWNLOAD PROFILE_DIR
// WHOLE_PAGE is answered to its end, with the page left twice; of SLOW_PAGE, three images are.
import * as browser from '../browser.mjs';

const [executablePath, wholePage, slowPage, downloadPath, profile] = process.argv.slice(2);

const report = { requests: [], errors: [], shown: [], answered: [] };
const launch = async () => {
  const context = await browser.launch(executablePath, profile);
  await context.addInitScript(watchPhoto);
  return context;
};
const open = (context, file) => browser.open(context, file, report);

// Runs in the page: how long each image is seen, frame by frame, whatever the page itself measures.
function watchPhoto() {
  window.seen = [];
  let current = null;
  const look = (now) => {
    const photo = document.getElementById('photo');
    const visible = photo && photo.getClientRects().length && getComputedStyle(photo).visibility === 'visible';
    // On a busy machine no frame may fall between two images.
    if (current && (!visible || photo.src !== current.png)) {
      window.seen.push({ ...current, ms: now - current.since });
      current = null;
    }
    if (visible && !current) {
      const { width, height } = photo.getBoundingClientRect();
      if (window.onPhoto) window.onPhoto();
      window.onPhoto = null;
      current = { png: photo.src, since: now, complete: photo.complete && photo.naturalWidth > 0, size: [width, height] };
    }
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
}

async function collectSeen(page) {
  const seen = await page.evaluate(() => {
    const ids = new Map(study.images.map((image) => [`data:image/png;base64,${image.png}`, image.id]));
    return window.seen.splice(0).map(({ png, ...rest }) => ({ id: ids.get(png), ...rest }));
  });
  report.shown.push(...seen);
}

const start = async (page, rater) => {
  if (rater) await page.fill('#rater', rater);
  await page.keyboard.press('Enter');
};
const asking = (page) => page.waitForSelector('#trial.asking', { timeout: 15000 });
const count = (page, rater) => page.evaluate((name) => sessionOf(name).trials.length, rater);

// Wrong in all of practice, then in the first real and the first two generated images.
const counted = { real: 0, generated: 0 };
function choose(kind, practice) {
  const other = kind === 'real' ? 'generated' : 'real';
  if (practice) return other;
  counted[kind] += 1;
  return counted[kind] <= (kind === 'real' ? 1 : 2) ? other : kind;
}

const WAYS = [
  (page, answer) => page.keyboard.press(answer === 'real' ? 'ArrowLeft' : 'ArrowRight'),
  (page, answer) => page.keyboard.press(answer === 'real' ? 'r' : 'g'),
  (page, answer) => page.click(`#${answer}`),
];

async function answer(page, number) {
  await asking(page);
  const { id, kind } = await page.evaluate((n) => images.get(orderFor('ana')[n]), number);
  const practice = number < 10;
  const choice = choose(kind, practice);
  await WAYS[number % WAYS.length](page, choice);
  report.answered.push({ id, kind, practice, answer: choice });
}

// ---- the whole study ----

let context = await launch();
let page = await open(context, wholePage);
const total = await page.evaluate(() => images.size);
report.orders = await page.evaluate(() => [orderFor('ana'), orderFor('ana'), orderFor('ben')]);
await page.evaluate(() => {
  window.onPhoto = () => document.dispatchEvent(new KeyboardEvent('keydown', { key: 'g', bubbles: true }));
});
await start(page, 'ana');
await asking(page);
report.keyPressedDuringExposure = await page.evaluate(() => window.onPhoto === null);
report.trialsAfterKeyDuringExposure = await count(page, 'ana');
await page.evaluate(() => {
  const ignored = [{ ctrlKey: true }, { repeat: true }];
  for (const how of ignored) document.dispatchEvent(new KeyboardEvent('keydown', { key: 'r', bubbles: true, ...how }));
});
report.trialsAfterShortcut = await count(page, 'ana');
for (let number = 0; number < 4; number += 1) await answer(page, number);

// The browser is closed while it asks about the fifth image.
await asking(page);
await collectSeen(page);
await context.close();
context = await launch();
page = await open(context, wholePage);
report.resumeText = await page.textContent('#known');
report.resumeCode = await page.inputValue('#rater');
await start(page);
await asking(page);
await collectSeen(page);
// The page is reloaded while it shows the sixth one.
const reloaded = page.waitForEvent('load');
await page.evaluate(() => {
  window.onPhoto = () => location.reload();
});
await answer(page, 4);
await reloaded;
await start(page);
for (let number = 5; number < 10; number += 1) await answer(page, number);
await page.waitForSelector('#pause:not([hidden])');
await page.keyboard.press('Enter');
for (let number = 10; number < total; number += 1) await answer(page, number);

await page.waitForSelector('#done:not([hidden])');
await collectSeen(page);
const [download] = await Promise.all([page.waitForEvent('download'), page.click('#download')]);
report.fileName = download.suggestedFilename();
await download.saveAs(downloadPath);
await page.close();

// ---- a few images at the paper's exposure ----

page = await open(context, slowPage);
report.codeOfOtherStudy = await page.inputValue('#rater');
report.shownBefore = report.shown.length;
await start(page, 'ana');
for (let number = 0; number < 3; number += 1) {
  await asking(page);
  await page.keyboard.press('r');
}
await asking(page);
await collectSeen(page);
report.slowTrials = await page.evaluate(() => sessionOf('ana').trials);
await context.close();
console.log(JSON.stringify(report));
