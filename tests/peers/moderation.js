// A moderator at work in Chromium: fifty posts by keyboard alone, two moderators on one post, undo, bulk with preview, ban
// with preview, a selection struck out, own keys, Japanese, every decision without a script, hostile posts, axe-core.
// Usage: moderation.js http://127.0.0.1:8080 TOKEN PASSWORD FOLDER-WITH-NODE-MODULES [FOLDER-FOR-PICTURES]   (accounts kim@acme.example, lee@acme.example)
// Prints one line for each story and ends with 1 at the first that fails.
"use strict";
const assert = require("node:assert/strict");
const { readFileSync } = require("node:fs");
const { createRequire } = require("node:module");

const [base, token, password, folder, shots] = process.argv.slice(2);
const load = createRequire(`${folder}/x.js`);
const { chromium } = load("playwright-core");
const axe = readFileSync(load.resolve("axe-core/axe.min.js"), "utf8");

const api = async (method, path, body) => {
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const answer = await fetch(base + path, { method, headers, body: body && JSON.stringify(body) });
  const json = await answer.json();
  assert.ok(answer.ok, `${method} ${path}: ${JSON.stringify(json)}`);
  return json;
};
// Held whatever the filter says, so that the stories do not depend on a model.
const hold = async (author) => { await api("POST", "/v1/posts", { id: `${author}-first`, text: "First post.", author }); await api("POST", `/v1/authors/${author}:silence`, { hours: 100 }); };
const held = (id, author, text, more = {}) => api("POST", "/v1/posts", { id, author, text, ...more });
const state = async (id) => (await api("GET", `/v1/posts/${id}`)).state;

(async () => {
  const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
  const problems = [];
  const enter = async (who, options = {}) => {
    const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, locale: "en-GB", ...options });
    const headers = { "sec-fetch-site": "same-origin", origin: base };
    await context.request.post(`${base}/login`, { form: { email: `${who}@acme.example`, password }, headers, maxRedirects: 0 });
    const page = await context.newPage();
    page.on("pageerror", (error) => problems.push(`script: ${error}`));
    page.on("dialog", (dialog) => { problems.push(`dialog: ${dialog.message()}`); dialog.dismiss(); });
    page.go = (path) => page.goto(base + path);
    return page;
  };
  const clean = async (page, what) => {
    // The page's own policy keeps scripts out; the checker comes in through the debugger.
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() => window.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"] }));
    assert.deepEqual(violations.map((one) => `${one.id} ${one.nodes[0].html}`), [], what);
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), `${what} scrolls sideways`);
  };
  const story = async (name, work) => { await work(); assert.deepEqual(problems, [], name); console.log(`ok ${name}`); };

  await hold("crowd");
  for (let n = 0; n < 50; n += 1) await held(`k${n}`, "crowd", `A question with the number ${n} about the export`);

  await story("fifty posts by keyboard alone", async () => {
    const page = await enter("kim");
    await page.go("/moderation?author=crowd");
    const keys = ["a", "s", "r1"];
    for (let n = 0; n < 120; n += 1) {
      if ((await page.locator(".empty").count()) > 0) break;
      const rows = page.locator("tbody tr:not(.gone)");
      const before = await rows.count();
      if (before === 0) { await page.waitForTimeout(300); continue; }
      if ((await page.locator("tr.current").count()) === 0) await page.keyboard.press("j");
      for (const key of keys[n % 3]) await page.keyboard.press(key);
      await page.waitForFunction((count) => document.querySelectorAll("tbody tr:not(.gone)").length !== count, before).catch(() => {});
    }
    const left = await api("GET", "/v1/posts?state=held&author=crowd");
    assert.equal(left.total, 0);
    await page.context().close();
  });

  await story("typing, input methods and the switch leave the shortcuts alone", async () => {
    await hold("typist");
    await held("typed", "typist", "Do not decide on me by accident");
    const page = await enter("kim");
    await page.go("/moderation?author=typist&search=accident");
    await page.focus("#search");
    await page.keyboard.type("as");
    await page.evaluate(() => document.activeElement.blur());
    await page.evaluate(() => document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "a", keyCode: 229, bubbles: true })));
    await page.keyboard.press("Control+s");
    await page.keyboard.press("?");
    await page.uncheck("#keys-on");
    await page.keyboard.press("Escape");
    await page.keyboard.press("a");
    await page.waitForTimeout(300);
    assert.equal(await state("typed"), "held");
    await page.context().close();
  });

  await story("a moderator's own keys", async () => {
    await held("keyed", "typist", "A post for somebody with another keyboard");
    const page = await enter("kim");
    await page.go("/moderation?author=typist&search=keyboard");
    await page.keyboard.press("?");
    await page.fill("input[data-key='approve']", "y");
    await page.fill("input[data-key='spam']", "y");
    assert.match(await page.textContent("#keys-said"), /y is the key of something else/);
    await clean(page, "the help with its fields");
    await page.keyboard.press("Escape");
    await page.reload();
    await page.waitForSelector("tr.current");
    await page.keyboard.press("a");
    await page.waitForTimeout(300);
    assert.equal(await state("keyed"), "held", "the old key does nothing");
    await page.keyboard.press("y");
    await page.waitForFunction(() => !document.querySelector("tbody tr:not(.gone)"));
    assert.equal(await state("keyed"), "approved");
    await page.keyboard.press("?");
    await page.click("#keys-usual");
    assert.equal(await page.inputValue("input[data-key='approve']"), "a");
    await page.context().close();
  });

  await story("two moderators on one post", async () => {
    await held("both", "typist", "Two people look at this one");
    const kim = await enter("kim");
    const lee = await enter("lee");
    await kim.go("/moderation/posts/both");
    await lee.go("/moderation/posts/both");
    assert.match(await lee.textContent("main"), /kim@acme\.example is looking at this/);
    await kim.click("button[data-act='approve']");
    await kim.waitForURL(/did=approve/);
    await lee.click("button[data-act='spam']");
    assert.match(await lee.textContent("main"), /kim@acme\.example/);
    assert.equal(await state("both"), "approved");
    await kim.click("#done button");
    await kim.waitForURL(/did=undo/);
    assert.equal(await state("both"), "held");
    await kim.context().close();
    await lee.context().close();
  });

  await story("a ban shows what it hides, and its undo gives it back", async () => {
    await held("m1", "mallory", "A first innocent post of this author");
    const before = await state("m1");
    const page = await enter("kim");
    await page.go("/moderation/authors/mallory");
    await page.selectOption("select[name='hide']", "all");
    await page.click("button.danger");
    assert.match(await page.textContent("main"), /Ban mallory\?/);
    await clean(page, "the ban's preview");
    await page.click("button.main");
    await page.waitForURL(/did=author/);
    assert.equal((await api("GET", "/v1/authors/mallory")).standing, "banned");
    assert.equal(await state("m1"), "spam");
    await page.click("#done button");
    await page.waitForURL(/did=undo/);
    assert.equal((await api("GET", "/v1/authors/mallory")).standing, "normal");
    assert.equal(await state("m1"), before);
    await page.context().close();
  });

  await story("a selection is struck out", async () => {
    await held("strike", "typist", "My telephone is 555 0199, call me. Again: 555 0199.");
    const page = await enter("kim");
    await page.go("/moderation/posts/strike");
    await page.evaluate(() => {
      const text = document.getElementById("post-text").firstChild;
      const at = text.data.indexOf("555 0199");
      document.getSelection().setBaseAndExtent(text, at, text, at + 8);
    });
    await page.waitForFunction(() => document.getElementById("piece").value === "555 0199");
    await page.click("form[action$='/redact'] button");
    await page.waitForURL(/did=redact/);
    const text = (await api("GET", "/v1/posts/strike")).text;
    assert.ok(!text.includes("555") && text.includes("███ ████"), text);
    await page.context().close();
  });

  await story("many at once: preview, typed number, one undo", async () => {
    await hold("flood");
    for (let n = 0; n < 22; n += 1) await held(`f${n}`, "flood", `Number ${n} of many posts of the same kind`);
    const page = await enter("kim");
    await page.go("/moderation?author=flood");
    await page.click("button[value='bulk-matching spam']");
    const { total } = await api("GET", "/v1/posts?state=held&author=flood");
    assert.ok(total > 20 && (await page.textContent("h1")).includes(String(total)));
    await clean(page, "the preview");
    await page.fill("#confirm", String(total));
    await page.click("button.main");
    await page.waitForURL(/did=spam/);
    assert.equal(await state("f21"), "spam");
    await page.click("#done button");
    await page.waitForURL(/did=undo/);
    assert.equal(await state("f21"), "held");
    await page.context().close();
  });

  await story("every decision without a script", async () => {
    const page = await enter("kim", { javaScriptEnabled: false });
    for (const [id, button, after] of [["f1", "approve", "approved"], ["f2", "spam", "spam"]]) {
      await page.go("/moderation?author=flood");
      await page.click(`button[name='do'][value^='${button} '][value$=' ${id}']`);
      assert.equal(await state(id), after);
    }
    await page.go("/moderation/posts/f3");
    await page.click("button[data-act='reject']");
    assert.equal(await state("f3"), "rejected");
    await page.go("/moderation/history");
    await page.click("tbody tr:first-child button");
    assert.equal(await state("f3"), "held");
    await page.go("/moderation/posts/f4");
    await page.fill("#piece", "many");
    await page.click("form[action$='/redact'] button");
    assert.match((await api("GET", "/v1/posts/f4")).text, /████/);
    await page.go("/moderation?author=flood");
    await page.check("tbody tr:nth-child(1) input[name='post']");
    await page.check("tbody tr:nth-child(2) input[name='post']");
    await page.click("button[value='bulk reject']");
    await page.click("button.main");
    assert.match(await page.textContent("#done"), /Rejected 2 posts/);
    await page.go("/moderation/authors/flood");
    await page.click("button[value='trust']");
    assert.equal((await api("GET", "/v1/authors/flood")).standing, "trusted");
    await page.go("/moderation/rules?field=word&pattern=export&effect=hold");
    await page.click("button[value='add']");
    await page.click("button[value^='enforce ']");
    assert.match(await page.textContent("tbody"), /in force/);
    await page.click("button[value^='remove ']");
    await held("g1", "flood2", "One more of the same kind of post, number 31 of many posts");
    await page.go("/moderation/authors/flood2");
    await page.click("button[value='silence']");
    assert.equal((await api("GET", "/v1/authors/flood2")).standing, "silenced");
    await page.click("button[value='unban']");
    assert.equal((await api("GET", "/v1/authors/flood2")).standing, "normal");
    await page.click("button.danger");
    await page.click("button.main");
    assert.equal((await api("GET", "/v1/authors/flood2")).standing, "banned");
    await page.click("#done button");
    assert.equal((await api("GET", "/v1/authors/flood2")).standing, "normal");
    await page.context().close();
  });

  await story("hostile posts stay text", async () => {
    const evil = "\"><script>alert(1)</script><img src=x onerror=alert(2)>'{{7*7}}";
    await api("POST", "/v1/posts", {
      id: evil, text: `${evil} <a href="javascript:alert(3)">x</a> https://x.example/"onmouseover=alert(4)`, title: evil, author: evil,
      author_name: evil, author_email: `${evil}@x.example`, author_url: evil, url: evil, kind: evil, lang: "en\" onload=\"alert(5)", context: evil,
      user_agent: evil, referrer: evil,
    });
    await api("POST", `/v1/posts/${encodeURIComponent(evil)}:reject`, { reason: evil });
    const page = await enter("kim");
    for (const path of ["/moderation?state=all&order=newest", `/moderation/posts/${encodeURIComponent(evil)}`, `/moderation/authors/${encodeURIComponent(evil)}`,
      "/moderation/history", `/moderation?search=${encodeURIComponent(evil)}`, `/moderation/rules?field=word&pattern=${encodeURIComponent(evil)}&effect=hold`]) {
      await page.go(path);
      await page.waitForTimeout(150);
      assert.equal(await page.locator("main script, main img, main a[href^='javascript'], main [onerror], main [onload]").count(), 0, path);
    }
    await page.context().close();
  });

  await story("both languages and themes, wide and narrow, without violations", async () => {
    for (const [lang, scheme, width] of [["en-GB", "light", 1440], ["ja-JP", "dark", 1440], ["en-GB", "dark", 320], ["ja-JP", "light", 320], ["ja-JP", "light", 720]]) {
      const page = await enter("kim", { locale: lang, colorScheme: scheme, viewport: { width, height: 900 } });
      for (const path of ["/moderation", "/moderation?author=flood", "/moderation/posts/f5", "/moderation/authors/flood", "/moderation/history", "/moderation/rules"]) {
        await page.go(path);
        await page.waitForTimeout(200);
        if (shots && width !== 720) await page.screenshot({ path: `${shots}/moderation${path.slice(11).replace(/\W+/g, "-")}-${lang.slice(0, 2)}-${scheme}-${width}.png` });
        await clean(page, `${path} ${lang} ${scheme} ${width}`);
      }
      // 1440 at 200 % is 720 wide.
      if (lang === "ja-JP") assert.match(await page.textContent("h1"), /モデレーション/);
      await page.context().close();
    }
  });

  await browser.close();
})().catch((error) => { console.error(error); process.exit(1); });
