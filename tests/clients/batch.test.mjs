// Embeddings, files and batches with OpenAI's client, against the starter model. Run by run.py.
import assert from 'node:assert/strict';
import test from 'node:test';
import OpenAI, { toFile } from 'openai';

const client = new OpenAI({
  baseURL: `${process.env.INFERNEO_BASE_URL}/v1`, apiKey: 'unused', maxRetries: 0,
});
const model = 'starter';

test('embeddings come as base64 and as floats alike', async () => {
  const input = ['The dog', 'A cat'];
  const byDefault = await client.embeddings.create({ model, input }); // asks for base64
  const floats = await client.embeddings.create({ model, input, encoding_format: 'float' });
  for (const i of [0, 1]) {
    assert.equal(byDefault.data[i].embedding.length, 256);
    byDefault.data[i].embedding.forEach((value, j) => {
      assert.ok(Math.abs(value - floats.data[i].embedding[j]) < 1e-6);
    });
  }
  const short = await client.embeddings.create({ model, input: 'x', dimensions: 64 });
  assert.equal(short.data[0].embedding.length, 64);
});

test('a batch runs a file of requests', async () => {
  const body = (content) => ({ model, temperature: 0, max_tokens: 8, messages: [{ role: 'user', content }] });
  const lines = ['a dog', 'a cat', 'a bird'].map((name, i) => JSON.stringify({
    custom_id: `line-${i}`, method: 'POST', url: '/v1/chat/completions', body: body(`Tell me of ${name}`),
  }));
  lines.push(JSON.stringify({
    custom_id: 'bad', method: 'POST', url: '/v1/chat/completions', body: { model, messages: [] },
  }));
  const file = await client.files.create({
    file: await toFile(Buffer.from(`${lines.join('\n')}\n`), 'requests.jsonl'), purpose: 'batch',
  });
  assert.equal(file.object, 'file');
  assert.equal(file.filename, 'requests.jsonl');
  assert.equal((await client.files.retrieve(file.id)).bytes, file.bytes);

  let batch = await client.batches.create({
    input_file_id: file.id, endpoint: '/v1/chat/completions', completion_window: '24h',
    metadata: { made: 'by a test' },
  });
  for (let i = 0; i < 600 && !['completed', 'failed'].includes(batch.status); i += 1) {
    await new Promise((resolve) => { setTimeout(resolve, 50); });
    batch = await client.batches.retrieve(batch.id);
  }
  assert.equal(batch.status, 'completed');
  assert.deepEqual(batch.request_counts, { total: 4, completed: 3, failed: 1 });
  assert.deepEqual(batch.metadata, { made: 'by a test' });
  const output = await (await client.files.content(batch.output_file_id)).text();
  const answers = output.trim().split('\n').map((line) => JSON.parse(line));
  assert.deepEqual(answers.map((answer) => answer.custom_id).sort(), ['line-0', 'line-1', 'line-2']);
  for (const answer of answers) {
    assert.equal(answer.response.status_code, 200);
    assert.equal(answer.response.body.object, 'chat.completion');
  }
  const direct = await client.chat.completions.create(body('Tell me of a dog'));
  const first = answers.find((answer) => answer.custom_id === 'line-0');
  assert.equal(first.response.body.choices[0].message.content, direct.choices[0].message.content);
  const errors = await (await client.files.content(batch.error_file_id)).text();
  assert.equal(JSON.parse(errors).response.status_code, 400);
  const listed = [];
  for await (const entry of client.batches.list()) listed.push(entry.id);
  assert.ok(listed.includes(batch.id));
  await assert.rejects(client.batches.cancel(batch.id), OpenAI.BadRequestError);
  assert.equal((await client.files.delete(file.id)).deleted, true);
  await assert.rejects(client.files.retrieve(file.id), OpenAI.NotFoundError);
});

test('a batch of broken lines fails and says where', async () => {
  const file = await client.files.create({
    file: await toFile(Buffer.from('{"custom_id": 5}\nnot json\n'), 'bad.jsonl'), purpose: 'batch',
  });
  let batch = await client.batches.create({
    input_file_id: file.id, endpoint: '/v1/embeddings', completion_window: '24h',
  });
  for (let i = 0; i < 200 && batch.status !== 'failed'; i += 1) {
    await new Promise((resolve) => { setTimeout(resolve, 50); });
    batch = await client.batches.retrieve(batch.id);
  }
  assert.equal(batch.status, 'failed');
  assert.deepEqual(batch.errors.data.map((error) => error.line), [1, 2]);
});
