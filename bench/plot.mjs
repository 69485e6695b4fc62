// Draws a bar for each contestant of each case: CPU for each request, with the interval of its median.
const WIDTH = 900;
const LEFT = 230;
const RIGHT = 70;
const BAR = 16;
const ROW = 20;
const HEAD = 34;

const COLOURS = {
  floor: "#9aa5b1",
  bound: "#6c7a89",
  jose: "#e0a458",
  "jose-full": "#b97a2a",
  "jose-401": "#b97a2a",
  "json-filter": "#b97a2a",
  "workers-oauth-provider": "#c8553d",
  portcullis: "#28666e",
};

const colour = (name) => COLOURS[name.split(":")[0]];
const text = (x, y, content, more = "") => `<text x="${x}" y="${y}" ${more}>${content}</text>`;

function bar({ name, cpu: { median, low, high } }, y, scale) {
  const middle = y + BAR / 2;
  const from = LEFT + low * scale;
  const to = LEFT + high * scale;
  return [
    text(LEFT - 8, y + 12, name, 'text-anchor="end"'),
    `<rect x="${LEFT}" y="${y}" width="${(median * scale).toFixed(1)}" height="${BAR}" fill="${colour(name)}"/>`,
    `<path d="M${from.toFixed(1)} ${middle}H${to.toFixed(1)}" stroke="#222"/>`,
    text((to + 6).toFixed(1), y + 12, median.toFixed(0)),
  ];
}

/** Each case has its own scale, because a stream costs several times as much as a call. */
export function plot({ cases, date }) {
  const lines = [];
  let y = HEAD;
  for (const { title, alg, rows } of cases.filter(({ rows }) => rows.length > 0)) {
    const scale = (WIDTH - LEFT - RIGHT) / Math.max(...rows.map(({ cpu }) => cpu.high));
    lines.push(text(10, y + 14, `${title} (${alg})`, 'font-weight="bold"'));
    y += ROW + 2;
    for (const row of rows) {
      lines.push(...bar(row, y, scale));
      y += ROW;
    }
    y += 12;
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${y}" font-family="sans-serif" font-size="12">
<rect width="${WIDTH}" height="${y}" fill="#fff"/>
${text(10, 20, `CPU of workerd for each request, µs, with 90 % intervals; ${date}`, 'font-size="14"')}
${lines.join("\n")}
</svg>
`;
}
