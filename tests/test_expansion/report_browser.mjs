// Reviews an expansion in Chromium as a user would, and prints what happened as json.
// node report_browser.mjs CHROMIUM SMALL_PAGE LARGE_PAGE DOWNLOAD PROFILE_DIR
import { launch, open } from '../browser.mjs';

const [executablePath, smallPage, largePage, downloadPath, profile] = process.argv.slice(2);
const SIZE = { viewport: { width: 1300, height: 800 } };
const report = { requests: [], errors: [], answered: [] };

const gallery = async (page) => {
  await page.click('#tab-gallery');
  await page.waitForSelector('.card');
};
const listed = (page) => page.evaluate(() => listed.map((item) => item.id));
const drawn = (page) => page.evaluate(() => [...document.querySelectorAll('.card')].map((card) => Number(card.id.slice(5))));
const nodes = (page) => page.evaluate(() => document.querySelectorAll('*').length);
const text = (page, id) => page.textContent(`#${id}`);
const current = (page) => page.evaluate(() => listed[cursor].id);
const settled = (page) => page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
const loaded = (page, selector) =>
  page.waitForFunction((wanted) => {
    const images = [...document.querySelectorAll(wanted)];
    return images.length > 0 && images.every((image) => image.complete && image.naturalWidth > 0);
  }, selector);

// ---- a small data set: filters, sorts, review, reload, export ----

let context = await launch(executablePath, profile, SIZE);
let page = await open(context, smallPage, report);
report.tiles = await page.$$eval('#tiles div', (tiles) => tiles.map((tile) => [tile.querySelector('dt').textContent, tile.querySelector('dd').textContent]));
report.rarityRows = await page.$$eval('#rarity-table tbody tr', (rows) => rows.map((row) => [...row.cells].map((cell) => cell.textContent)));
report.coverage = await text(page, 'coverage-text');
report.reasons = await page.$$eval('#reason-table tbody tr', (rows) => rows.map((row) => [...row.cells].map((cell) => cell.textContent)));
report.extremes = await page.$$eval('#rarest figcaption, #commonest figcaption', (all) => all.map((one) => one.textContent));
await page.click('#tab-refused');
report.refused = await page.$$eval('#refused-list figcaption', (all) => all.map((one) => one.textContent));
await loaded(page, '#refused-list figure:first-child img');
await page.selectOption('#reason', { index: 1 });
report.refusedOfReason = await page.$$eval('#refused-list figcaption b', (all) => all.map((one) => one.textContent));

await gallery(page);
await loaded(page, '.card img');
report.pictureSize = await page.$eval('.card img', (image) => [image.naturalWidth, image.naturalHeight]);
report.orders = {};
for (const order of ['id', 'rarest', 'commonest', 'worst', 'best', 'source']) {
  await page.selectOption('#sort', order);
  report.orders[order] = await listed(page);
}
await page.selectOption('#decile-from', '7');
report.rare = await listed(page);
report.rareText = await text(page, 'shown');
await page.selectOption('#decile-from', '-1');
await page.selectOption('#score', '1');
report.whole = await listed(page);
await page.selectOption('#score', '0');
await page.fill('#source', '3.PNG');
report.ofSource = await listed(page);
await page.fill('#source', 'nowhere');
report.nothing = await page.isVisible('#none');
await page.fill('#source', '');
await page.selectOption('#sort', 'rarest');
await page.focus('#scroller');
await page.keyboard.press('Home');

// Twenty by keyboard; some in the enlarged view; one with a comment, one undone, keys that do not count.
for (let count = 0; count < 20; count += 1) {
  const id = await current(page);
  const verdict = count % 3 === 1 ? 'reject' : 'accept';
  if (count === 5) await page.keyboard.press('Enter');
  let comment = '';
  if (count === 7) {
    comment = 'a <b>hand</b> too many; ärm';
    await page.keyboard.press('c');
    await page.keyboard.type(comment);
    await page.keyboard.press('Enter');
  }
  await page.keyboard.press(verdict[0]);
  report.answered.push({ annotation_id: id, verdict, comment });
  if (count === 9) await page.keyboard.press('Escape');
}
await page.keyboard.press('ArrowLeft');
report.undone = await current(page);
await page.keyboard.press('u');
await page.keyboard.press('Control+a');
await page.evaluate(() => $('scroller').dispatchEvent(new KeyboardEvent('keydown', { key: 'r', repeat: true, bubbles: true })));
report.progress = await text(page, 'progress');
await page.selectOption('#state', 'reject');
report.rejected = await listed(page);
await page.selectOption('#state', 'comment');
report.commented = await listed(page);
await page.keyboard.press('Enter');

// The page is reloaded, the browser closed and opened again.
await page.reload();
report.progressAfterReload = await text(page, 'progress');
report.tabAfterReload = await page.isVisible('#gallery');
await context.close();
context = await launch(executablePath, profile, SIZE);
page = await open(context, smallPage, report);
report.progressAfterRestart = await text(page, 'progress');
await gallery(page);
await page.keyboard.press('Enter');
report.whole_image = await page.$eval('#whole', (link) => link.href);
report.focused = await page.evaluate(() => document.activeElement.id);
await page.keyboard.press('Escape');
const [download] = await Promise.all([page.waitForEvent('download'), page.click('#export')]);
report.fileName = download.suggestedFilename();
await download.saveAs(downloadPath);
await page.close();

// ---- ten thousand items: what is in the page stays little, wherever one is ----

const started = Date.now();
page = await open(context, largePage, report);
report.progressOfOther = await text(page, 'progress');
await gallery(page);
await loaded(page, '.card img');
report.largeMs = { open: Date.now() - started };
report.large = [];
const note = async (what) => {
  await settled(page);
  const cards = await drawn(page);
  const visible = await page.evaluate(() => {
    const { left, top, height } = $('scroller').getBoundingClientRect();
    const card = document.elementFromPoint(left + 40, top + height / 2)?.closest('.card');
    return card ? Number(card.id.slice(5)) : null;
  });
  report.large.push({ what, nodes: await nodes(page), cards, visible, cursor: await current(page), listed: (await listed(page)).length });
};
await note('opened');
await page.keyboard.press('End');
await note('end');
for (const part of [0.25, 0.5, 0.75]) {
  await page.evaluate((share) => {
    $('scroller').scrollTop = share * $('scroller').scrollHeight;
  }, part);
  await note(`scrolled to ${part}`);
}
let before = Date.now();
await page.selectOption('#sort', 'rarest');
report.largeMs.sort = Date.now() - before;
await page.keyboard.press('Home');
await note('sorted');
before = Date.now();
await page.selectOption('#decile-from', '9');
report.largeMs.filter = Date.now() - before;
await note('filtered');
await page.focus('#scroller');
for (let count = 0; count < 50; count += 1) await page.keyboard.press('a');
await note('reviewed');
report.largeProgress = await text(page, 'progress');
await page.setViewportSize({ width: 600, height: 900 });
await note('narrow');
await context.close();
console.log(JSON.stringify(report));
