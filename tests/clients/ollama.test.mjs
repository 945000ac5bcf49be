// What applications do with Ollama's client, against the starter model. Run by run.py.
import assert from 'node:assert/strict';
import test from 'node:test';
import { Ollama } from 'ollama';

const client = new Ollama({ host: process.env.INFERNEO_BASE_URL });
const model = 'starter';
const messages = [{ role: 'user', content: 'Tell me a story about a dog.' }];
const options = { temperature: 0, num_predict: 24 };

test('models are listed, shown and running', async () => {
  const { models } = await client.list();
  assert.deepEqual(models.map((entry) => entry.name), [model]);
  assert.equal(models[0].details.family, 'llama');
  const running = await client.ps();
  assert.equal(running.models[0].name, model);
  const shown = await client.show({ model: `${model}:latest` });
  assert.equal(shown.model_info['general.architecture'], 'llama');
  assert.ok(shown.template.length > 0);
  assert.ok((await client.version()).version.length > 0);
});

test('chat streams the same text as it answers whole', async () => {
  const whole = await client.chat({ model, messages, options });
  assert.ok(whole.message.content.length > 0);
  assert.equal(whole.done, true);
  let text = '';
  let last = null;
  for await (const part of await client.chat({ model, messages, options, stream: true })) {
    text += part.message.content;
    last = part;
  }
  assert.equal(text, whole.message.content);
  assert.equal(last.done_reason, whole.done_reason);
  assert.equal(last.eval_count, whole.eval_count);
  assert.equal(last.prompt_eval_count, whole.prompt_eval_count);
  assert.ok(Number.isInteger(last.total_duration) && last.total_duration > 0);
});

test('generate answers in the template and raw', async () => {
  const inTemplate = await client.generate({ model, prompt: messages[0].content, options });
  const chat = await client.chat({ model, messages, options });
  assert.equal(inTemplate.response, chat.message.content);
  const raw = await client.generate({ model, prompt: 'The dog', raw: true, options });
  let text = '';
  for await (const part of await client.generate({ model, prompt: 'The dog', raw: true, options, stream: true })) {
    text += part.response;
  }
  assert.equal(text, raw.response);
});

test('embeddings are of length 1', async () => {
  const { embeddings } = await client.embed({ model, input: ['The dog', 'A cat'] });
  assert.equal(embeddings.length, 2);
  for (const vector of embeddings) {
    assert.ok(Math.abs(Math.hypot(...vector) - 1) < 1e-4);
  }
  const { embedding } = await client.embeddings({ model, prompt: 'The dog' });
  assert.equal(embedding.length, embeddings[0].length);
});

test('errors are told', async () => {
  await assert.rejects(client.chat({ model: 'none', messages }), /none/);
  await assert.rejects(client.chat({ model, messages, options: { temperature: 9 } }), /temperature/);
});

test('an aborted stream frees its work', async () => {
  const stream = await client.chat({ model, messages, options: { num_predict: 1500 }, stream: true });
  await assert.rejects(async () => {
    for await (const part of stream) {
      if (part.message.content) stream.abort();
    }
  }, { name: 'AbortError' });
  const again = await client.chat({ model, messages, options });
  assert.equal(again.done, true);
});
