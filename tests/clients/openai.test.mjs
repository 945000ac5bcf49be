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

// What the starter model was trained to call.
const search = {
  type: 'function',
  function: {
    name: 'search',
    description: 'Search the web.',
    parameters: {
      type: 'object', properties: { query: { type: 'string' } }, required: ['query'],
    },
  },
};
const askForSearch = [
  { role: 'system', content: 'You are Starter, a small helpful assistant.' },
  { role: 'user', content: 'Search for variety.' },
];

test('tool calls arrive whole and streamed', async () => {
  const body = { model, messages: askForSearch, tools: [search], temperature: 0, max_tokens: 60 };
  const whole = await client.chat.completions.create(body);
  const { message, finish_reason: finish } = whole.choices[0];
  assert.equal(finish, 'tool_calls');
  assert.equal(message.content, null);
  assert.equal(message.tool_calls.length, 1);
  assert.equal(message.tool_calls[0].function.name, 'search');
  assert.ok(typeof JSON.parse(message.tool_calls[0].function.arguments).query === 'string');

  const stream = client.chat.completions.stream({ ...body });
  let pieces = '';
  let done = null;
  stream.on('tool_calls.function.arguments.delta', (event) => { pieces += event.arguments_delta; });
  stream.on('tool_calls.function.arguments.done', (event) => { done = event; });
  const final = await stream.finalChatCompletion();
  const call = final.choices[0].message.tool_calls[0];
  assert.equal(final.choices[0].finish_reason, 'tool_calls');
  assert.equal(call.function.name, 'search');
  assert.equal(call.function.arguments, message.tool_calls[0].function.arguments);
  assert.equal(pieces, call.function.arguments);
  assert.equal(done.name, 'search');
  assert.ok(call.id);
});

test('a runner of tools gets its answer', async () => {
  let asked = null;
  const runner = client.chat.completions.runTools({
    model,
    messages: askForSearch,
    temperature: 0,
    max_tokens: 60,
    tools: [{
      type: 'function',
      function: {
        ...search.function,
        parse: JSON.parse,
        function: (args) => { asked = args; return 'Variety is the spice of life.'; },
      },
    }],
  }, { maxChatCompletions: 2 });
  // What the model says of the result is its own affair; it may call once more.
  await runner.done().catch(() => {});
  assert.ok(asked !== null && typeof asked === 'object');
  assert.ok(runner.messages.some((message) => message.role === 'tool'));
});

test('responses are created, streamed, stored and forgotten', async () => {
  const body = { model, input: 'Tell me a story about a dog.', temperature: 0, max_output_tokens: 24 };
  const whole = await client.responses.create(body);
  assert.equal(whole.object, 'response');
  assert.ok(whole.output_text.length > 0);
  assert.equal(whole.usage.total_tokens, whole.usage.input_tokens + whole.usage.output_tokens);

  const stream = client.responses.stream(body);
  let pieces = '';
  const types = new Set();
  stream.on('response.output_text.delta', (event) => { pieces += event.delta; });
  stream.on('event', (event) => { types.add(event.type); });
  const final = await stream.finalResponse();
  assert.equal(final.output_text, whole.output_text);
  assert.equal(pieces, whole.output_text);
  for (const type of ['response.created', 'response.in_progress', 'response.output_item.added',
    'response.content_part.added', 'response.output_text.done', 'response.content_part.done',
    'response.output_item.done']) {
    assert.ok(types.has(type), type);
  }

  const stored = await client.responses.retrieve(whole.id);
  assert.deepEqual(stored.output, whole.output);
  const items = [];
  for await (const item of client.responses.inputItems.list(whole.id)) items.push(item);
  assert.equal(items[0].content[0].text, body.input);
  const next = await client.responses.create({
    ...body, input: 'And then?', previous_response_id: whole.id,
  });
  assert.ok(next.usage.input_tokens > whole.usage.input_tokens);
  await client.responses.delete(whole.id);
  await assert.rejects(client.responses.retrieve(whole.id), OpenAI.NotFoundError);
  await assert.rejects(
    client.responses.create({ ...body, previous_response_id: whole.id }),
    (error) => error.code === 'previous_response_not_found',
  );
  const counted = await client.responses.inputTokens.count({ model, input: body.input });
  assert.equal(counted.input_tokens, whole.usage.input_tokens);
});

test('responses call tools', async () => {
  const body = {
    model,
    instructions: askForSearch[0].content,
    input: askForSearch[1].content,
    tools: [{ type: 'function', strict: false, ...search.function }],
    temperature: 0,
    max_output_tokens: 60,
  };
  const whole = await client.responses.create(body);
  const call = whole.output.find((item) => item.type === 'function_call');
  assert.equal(call.name, 'search');
  const stream = client.responses.stream(body);
  let pieces = '';
  stream.on('response.function_call_arguments.delta', (event) => { pieces += event.delta; });
  const final = await stream.finalResponse();
  assert.equal(final.output.find((item) => item.type === 'function_call').arguments, call.arguments);
  assert.equal(pieces, call.arguments);
  const answered = await client.responses.create({
    ...body,
    input: [{ type: 'function_call_output', call_id: call.call_id, output: 'Nothing found.' }],
    previous_response_id: whole.id,
  });
  assert.ok(answered.usage.input_tokens > whole.usage.input_tokens);
});

test('responses in the background are polled and cancelled', async () => {
  let response = await client.responses.create({
    model, input: 'Hello', temperature: 0, max_output_tokens: 8, background: true,
  });
  for (let i = 0; i < 500 && ['queued', 'in_progress'].includes(response.status); i += 1) {
    await new Promise((resolve) => { setTimeout(resolve, 10); });
    response = await client.responses.retrieve(response.id);
  }
  assert.ok(['completed', 'incomplete'].includes(response.status));
  const endless = await client.responses.create({
    model, input: 'Hello', max_output_tokens: 1500, background: true, ignore_eos: true,
  });
  assert.equal((await client.responses.cancel(endless.id)).status, 'cancelled');
});

test('responses over a WebSocket', async () => {
  const { ResponsesWS } = await import('openai/resources/responses/ws');
  const socket = new ResponsesWS(client);
  const ended = new Promise((resolve, reject) => {
    socket.on('response.completed', (event) => resolve(event.response));
    socket.on('response.incomplete', (event) => resolve(event.response));
    socket.on('error', reject);
  });
  let pieces = '';
  socket.on('response.output_text.delta', (event) => { pieces += event.delta; });
  socket.send({
    type: 'response.create', model, input: 'Tell me a story about a dog.', temperature: 0,
    max_output_tokens: 24,
  });
  const response = await ended;
  socket.close();
  assert.equal(response.output[0].content[0].text, pieces);
  assert.ok(pieces.length > 0);
});

const answerSchema = {
  name: 'answer',
  strict: true,
  schema: {
    type: 'object',
    properties: { animal: { enum: ['dog', 'cat'] }, legs: { type: 'integer', minimum: 0, maximum: 9 } },
    required: ['animal', 'legs'],
    additionalProperties: false,
  },
};

test('the parse helpers get what the schema says', async () => {
  const chat = await client.chat.completions.parse({
    model, messages, temperature: 1, seed: 1, max_tokens: 200,
    response_format: { type: 'json_schema', json_schema: answerSchema },
  });
  assert.ok(['dog', 'cat'].includes(chat.choices[0].message.parsed.animal));
  const response = await client.responses.parse({
    model, input: 'A dog?', temperature: 1, seed: 2, max_output_tokens: 200,
    text: { format: { type: 'json_schema', ...answerSchema } },
  });
  assert.ok(Number.isInteger(response.output_parsed.legs));
  const stream = client.chat.completions.stream({
    model, messages, temperature: 1, seed: 3, max_tokens: 200,
    response_format: { type: 'json_schema', json_schema: answerSchema },
  });
  const final = await stream.finalChatCompletion();
  assert.ok(Number.isInteger(JSON.parse(final.choices[0].message.content).legs));
});

test('forced and strict calls keep to the schema', async () => {
  const strict = { ...search, function: { ...search.function, strict: true } };
  strict.function.parameters = { ...search.function.parameters, additionalProperties: false };
  for (const tool_choice of ['required', { type: 'function', function: { name: 'search' } }]) {
    const answer = await client.chat.completions.parse({
      model, messages, tools: [strict], tool_choice, temperature: 1.5, seed: 4, max_tokens: 200,
      parallel_tool_calls: false,
    });
    const call = answer.choices[0].message.tool_calls[0];
    assert.equal(typeof call.function.parsed_arguments.query, 'string');
  }
  const response = await client.responses.create({
    model, input: 'Hello', tools: [{ type: 'function', strict: true, ...strict.function }],
    tool_choice: 'required', parallel_tool_calls: false, max_output_tokens: 200,
  });
  assert.equal(response.output[0].type, 'function_call');
});
