// What applications do with the official client, against the starter model. Run by run.py.
import assert from 'node:assert/strict';
import test from 'node:test';
import OpenAI from 'openai';

const baseURL = process.env.INFERNEO_BASE_URL;
const client = new OpenAI({ baseURL: `${baseURL}/v1`, apiKey: 'unused', maxRetries: 0 });
const model = 'starter';
const messages = [{ role: 'user', content: 'Tell me a story about a dog.' }];
const greedy = { model, temperature: 0, max_tokens: 24 };

async function metric(name) {
  const text = await (await fetch(`${baseURL}/metrics`)).text();
  const line = text.split('\n').find((l) => l.startsWith(`${name}{`));
  return Number(line.split(' ').at(-1));
}

test('models are listed and found', async () => {
  const names = [];
  for await (const entry of client.models.list()) names.push(entry.id);
  assert.deepEqual(names, [model]);
  assert.equal((await client.models.retrieve(model)).object, 'model');
});

test('chat streams the same text as it answers whole', async () => {
  const whole = await client.chat.completions.create({ ...greedy, messages });
  assert.equal(whole.object, 'chat.completion');
  assert.equal(whole.choices[0].message.role, 'assistant');
  assert.ok(whole.choices[0].message.content.length > 0);
  assert.ok(whole.usage.completion_tokens > 0);
  assert.ok(whole._request_id);

  const stream = await client.chat.completions.create({
    ...greedy, messages, stream: true, stream_options: { include_usage: true },
  });
  let text = '';
  let usage = null;
  let finish = null;
  const ids = new Set();
  for await (const chunk of stream) {
    ids.add(chunk.id);
    text += chunk.choices[0]?.delta?.content ?? '';
    finish = chunk.choices[0]?.finish_reason ?? finish;
    usage = chunk.usage ?? usage;
  }
  assert.equal(text, whole.choices[0].message.content);
  assert.equal(finish, whole.choices[0].finish_reason);
  assert.equal(usage.total_tokens, whole.usage.total_tokens);
  assert.equal(ids.size, 1);
});

test('the stream helper assembles the final message', async () => {
  const stream = client.chat.completions.stream({ ...greedy, messages });
  let pieces = '';
  stream.on('content', (delta) => { pieces += delta; });
  const final = await stream.finalChatCompletion();
  assert.equal(final.choices[0].message.content, pieces);
});

test('n gives that many choices, whole and streamed, and a seed repeats them', async () => {
  const body = { model, messages, n: 3, seed: 7, temperature: 1, max_tokens: 12 };
  const whole = await client.chat.completions.create(body);
  assert.deepEqual(whole.choices.map((choice) => choice.index), [0, 1, 2]);
  const texts = ['', '', ''];
  for await (const chunk of await client.chat.completions.create({ ...body, stream: true })) {
    for (const choice of chunk.choices) texts[choice.index] += choice.delta.content ?? '';
  }
  assert.deepEqual(texts, whole.choices.map((choice) => choice.message.content));
});

test('logprobs spell the content', async () => {
  const answer = await client.chat.completions.create({
    ...greedy, messages, logprobs: true, top_logprobs: 2,
  });
  const tokens = answer.choices[0].logprobs.content;
  const bytes = tokens.flatMap((token) => token.bytes);
  const text = Buffer.from(bytes).toString('utf8');
  assert.ok(text.startsWith(answer.choices[0].message.content));
  for (const token of tokens) {
    assert.ok(token.logprob <= 0);
    assert.equal(token.top_logprobs.length, 2);
  }
});

test('stop strings end the text', async () => {
  const whole = await client.chat.completions.create({ ...greedy, messages });
  const text = whole.choices[0].message.content;
  const stop = text.slice(6, 9);
  const cut = await client.chat.completions.create({ ...greedy, messages, stop: [stop] });
  assert.equal(cut.choices[0].message.content, text.slice(0, text.indexOf(stop)));
  assert.equal(cut.choices[0].finish_reason, 'stop');
});

test('prompts of token ids, echo and their log probabilities', async () => {
  const reply = await fetch(`${baseURL}/tokenize`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model, prompt: 'The dog' }),
  });
  const { tokens } = await reply.json();
  const byText = await client.completions.create({ ...greedy, prompt: 'The dog' });
  const byIds = await client.completions.create({ ...greedy, prompt: tokens });
  assert.equal(byIds.choices[0].text, byText.choices[0].text);

  const both = await client.completions.create({ ...greedy, prompt: [tokens, tokens], n: 1 });
  assert.deepEqual(both.choices.map((choice) => choice.text),
    [byText.choices[0].text, byText.choices[0].text]);

  const echo = await client.completions.create({
    ...greedy, prompt: 'The dog', echo: true, logprobs: 1,
  });
  const choice = echo.choices[0];
  assert.equal(choice.text, `The dog${byText.choices[0].text}`);
  assert.equal(choice.logprobs.token_logprobs[0], null);
  choice.logprobs.tokens.slice(0, tokens.length).forEach((token, i) => {
    const offset = choice.logprobs.text_offset[i];
    assert.equal(choice.text.slice(offset, offset + token.length), token);
  });
});

test('errors map to the classes of the client', async () => {
  await assert.rejects(
    client.chat.completions.create({ ...greedy, messages, max_tokens: 0 }),
    (error) => error instanceof OpenAI.BadRequestError && error.param === 'max_tokens',
  );
  await assert.rejects(
    client.chat.completions.create({ ...greedy, messages, temprature: 1 }),
    (error) => error instanceof OpenAI.BadRequestError && error.param === 'temprature'
      && error.message.includes('temperature'),
  );
  await assert.rejects(
    client.chat.completions.create({ ...greedy, messages, model: 'none' }),
    (error) => error instanceof OpenAI.NotFoundError && error.code === 'model_not_found',
  );
  await assert.rejects(
    client.completions.create({ ...greedy, prompt: 'x', stream: true, n: 99 }),
    (error) => error instanceof OpenAI.BadRequestError && error.param === 'n',
  );
});

test('an aborted stream frees its work', async () => {
  const stream = await client.chat.completions.create({
    model, messages, stream: true, max_tokens: 1500, ignore_eos: true,
  });
  let count = 0;
  for await (const chunk of stream) {
    assert.ok(chunk.id);
    if (++count === 3) stream.controller.abort();
  }
  for (let i = 0; i < 200; i += 1) {
    if (await metric('vllm:num_requests_running') === 0) break;
    await new Promise((resolve) => { setTimeout(resolve, 10); });
  }
  assert.equal(await metric('vllm:num_requests_running'), 0);
  assert.equal(await metric('inferneo_kv_blocks_used'), 0);
});
