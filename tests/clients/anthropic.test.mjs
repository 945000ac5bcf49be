// What applications do with Anthropic's client, against the starter model. Run by run.py.
import assert from 'node:assert/strict';
import test from 'node:test';
import Anthropic from '@anthropic-ai/sdk';

const baseURL = process.env.INFERNEO_BASE_URL;
const client = new Anthropic({ baseURL, apiKey: 'unused', maxRetries: 0 });
const model = 'starter';
const messages = [{ role: 'user', content: 'Tell me a story about a dog.' }];
const greedy = { model, temperature: 0, max_tokens: 24, messages };

test('a message streams the same text as it comes whole', async () => {
  await client.messages.create(greedy); // so that both find the same prefix in the cache
  const whole = await client.messages.create(greedy);
  assert.equal(whole.type, 'message');
  assert.equal(whole.role, 'assistant');
  assert.equal(whole.content[0].type, 'text');
  assert.ok(whole.content[0].text.length > 0);
  assert.ok(whole.usage.output_tokens > 0);

  const kinds = [];
  let text = '';
  for await (const event of await client.messages.create({ ...greedy, stream: true })) {
    if (kinds.at(-1) !== event.type) kinds.push(event.type);
    if (event.type === 'content_block_delta') text += event.delta.text;
  }
  assert.equal(text, whole.content[0].text);
  assert.deepEqual(kinds, ['message_start', 'content_block_start', 'content_block_delta',
    'content_block_stop', 'message_delta', 'message_stop']);
});

test('the stream helper assembles the same message', async () => {
  const whole = await client.messages.create(greedy);
  const stream = client.messages.stream(greedy);
  let pieces = '';
  stream.on('text', (piece) => { pieces += piece; });
  const final = await stream.finalMessage();
  assert.equal(pieces, whole.content[0].text);
  assert.equal(final.content[0].text, whole.content[0].text);
  assert.equal(final.stop_reason, whole.stop_reason);
  assert.equal(final.usage.output_tokens, whole.usage.output_tokens);
  assert.equal(final.usage.input_tokens + final.usage.cache_read_input_tokens,
    whole.usage.input_tokens + whole.usage.cache_read_input_tokens);
});

test('system, blocks, stop sequences and prefill', async () => {
  const whole = await client.messages.create({ ...greedy, system: 'You are kind.' });
  const blocks = await client.messages.create({
    ...greedy,
    system: [{ type: 'text', text: 'You are kind.', cache_control: { type: 'ephemeral' } }],
    messages: [{ role: 'user', content: [{ type: 'text', text: messages[0].content }] }],
  });
  assert.equal(blocks.content[0].text, whole.content[0].text);
  const text = whole.content[0].text;
  const stop = text.slice(6, 9);
  const cut = await client.messages.create({ ...greedy, system: 'You are kind.', stop_sequences: [stop] });
  assert.equal(cut.stop_reason, 'stop_sequence');
  assert.equal(cut.stop_sequence, stop);
  assert.equal(cut.content[0].text, text.slice(0, text.indexOf(stop)));
  const open = await client.messages.create({
    ...greedy, messages: [...messages, { role: 'assistant', content: 'Once' }],
  });
  assert.equal(open.type, 'message');
});

test('tokens are counted before they are spent', async () => {
  const counted = await client.messages.countTokens({ model, messages });
  const message = await client.messages.create(greedy);
  assert.equal(counted.input_tokens,
    message.usage.input_tokens + message.usage.cache_read_input_tokens);
});

test('tools are offered and their results taken', async () => {
  const tools = [{
    name: 'weather', description: 'The weather of a city',
    input_schema: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
  }];
  const answer = await client.messages.create({
    ...greedy,
    tools,
    messages: [
      { role: 'user', content: 'Weather in Rome?' },
      { role: 'assistant', content: [{ type: 'tool_use', id: 'toolu_1', name: 'weather', input: { city: 'Rome' } }] },
      { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'toolu_1', content: 'sunny' }] },
    ],
  });
  assert.equal(answer.type, 'message');
});

test('errors map to the classes of the client', async () => {
  await assert.rejects(client.messages.create({ ...greedy, max_tokens: 0 }), (error) => {
    assert.ok(error instanceof Anthropic.BadRequestError);
    assert.equal(error.error.error.type, 'invalid_request_error');
    assert.match(error.message, /max_tokens/);
    return true;
  });
  await assert.rejects(client.messages.create({ ...greedy, model: 'none' }), Anthropic.NotFoundError);
});

test('an aborted stream frees its work', async () => {
  const stream = client.messages.stream({ ...greedy, max_tokens: 1500 });
  for await (const event of stream) {
    if (event.type === 'content_block_delta') break;
  }
  stream.abort();
  const again = await client.messages.create(greedy);
  assert.equal(again.type, 'message');
});
