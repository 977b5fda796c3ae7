// Opens pages of the package in Chromium, for the tests that drive them.
import { pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';

const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run'];
FLAGS.push('--disable-background-networking', '--disable-component-update', '--disable-sync');

// A browser that keeps what pages store in the folder `profile`.
export function launch(executablePath, profile, settings = {}) {
  const options = { executablePath, args: FLAGS, headless: true, acceptDownloads: true, ...settings };
  return chromium.launchPersistentContext(profile, options);
}

// Opens a file, and notes in `report` what it requests and what goes wrong in it.
export async function open(context, file, report) {
  const page = await context.newPage();
  page.on('request', (request) => report.requests.push(request.url().startsWith('data:') ? 'data:' : request.url()));
  page.on('pageerror', (error) => report.errors.push(String(error)));
  page.on('console', (message) => message.type() === 'error' && report.errors.push(message.text()));
  await page.goto(pathToFileURL(file).href);
  return page;
}
