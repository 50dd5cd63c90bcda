// A conversation with the bot by way of telegram-test-api: somebody else's idea of the Bot API, beside our own fake.
//
// Serves the Bot API on PORT and prints "ready"; a line on its input says that the bot listens at WEBHOOK. Ends with
// status 0 when the conversation went as it should, else with what was wrong.
"use strict";

const assert = require("assert");
const axios = require("axios");
const readline = require("readline");
const TelegramServer = require("telegram-test-api");

const { PORT, TOKEN, WEBHOOK, SECRET } = process.env;
const WAIT = 30000; // milliseconds

axios.default.defaults.headers.common["X-Telegram-Bot-Api-Secret-Token"] = SECRET; // which the package does not know

async function main() {
  const server = new TelegramServer({ port: Number(PORT), host: "127.0.0.1", storeTimeout: 600 });
  await server.start();
  console.log("ready");
  await new Promise((go) => readline.createInterface({ input: process.stdin }).once("line", go));
  server.setWebhook({ url: WEBHOOK }, TOKEN);
  await converse(server.getClient(TOKEN, { userId: 4711, chatId: 4711, firstName: "Marie" }));
  await server.stop();
}

async function converse(client) {
  await client.sendCommand(client.makeCommand("/start"));
  const welcome = await shown(client, (message) => message.text.includes("Code du Travail"));
  assert.ok(Array.isArray(welcome.entities), "the welcome is marked up");

  await client.sendMessage(client.makeMessage("Quel est mon préavis ?"));
  const answer = await shown(client, (message) => buttons(message).some((button) => button.text === "👍"));
  assert.match(answer.text, /la réponse à « Quel est mon préavis \? »/);
  assert.match(answer.text, /Sources/);
  assert.ok(answer.entities.some((entity) => entity.url && entity.url.startsWith("https://www.legifrance.gouv.fr/")));
  for (const { offset, length } of answer.entities) {
    assert.ok(offset >= 0 && length > 0 && offset + length <= answer.text.length, "entities lie within the text");
  }

  await client.sendCommand(client.makeCommand("/settings"));
  const settings = await shown(client, (message) => message.text.includes("Réglages"));
  const language = buttons(settings).find((button) => button.text.startsWith("🌐"));
  await press(client, settings, language);
  await shown(client, (message) => message.messageId === settings.messageId && message.text.includes("Settings"));

  await client.sendCommand(client.makeCommand("/delete"));
  const asked = await shown(client, (message) => buttons(message).some((button) => button.text.startsWith("🗑")));
  await press(client, asked, buttons(asked)[0]);
  await shown(client, (message) => message.text.startsWith("Everything is erased"));

  const answers = (await messages(client)).filter((message) => message.text.includes("« Quel est mon préavis ? »"));
  assert.strictEqual(answers.length, 1, "the question is answered once");
}

function press(client, message, button) {
  assert.ok(button, "the button is there");
  const below = { message_id: message.messageId, text: message.text, date: 1 };
  return client.sendCallback(client.makeCallbackQuery(button.callback_data, { message: below }));
}

function buttons(message) {
  return ((message.reply_markup || {}).inline_keyboard || []).flat();
}

// What the bot's messages say now.
async function messages(client) {
  const history = await client.getUpdatesHistory();
  return history.filter((one) => one.message && one.message.chat_id).map((one) => ({ ...one.message, messageId: one.messageId }));
}

async function shown(client, wanted) {
  for (const end = Date.now() + WAIT; Date.now() < end; ) {
    const found = (await messages(client)).find(wanted);
    if (found) return found;
    await new Promise((later) => setTimeout(later, 50));
  }
  throw new Error(`not shown: ${wanted}\nbut: ${JSON.stringify(await messages(client), null, 1)}`);
}

main().then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
