// Draws what the pages say in words as well: the curve of the book, and the live chart. Nothing here decides anything.
"use strict";

const { LineStyle } = LightweightCharts;
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

// Times are the person's: of the zone of this browser. A bar of a day or longer has the name of its day instead.
const twoDigits = (number) => String(number).padStart(2, "0");
const clock = (at) => `${twoDigits(at.getHours())}:${twoDigits(at.getMinutes())}`;
const dayOf = (at) => at.toLocaleDateString(undefined, { day: "numeric", month: "short" });
function momentOf(time) {
  if (typeof time === "number") return `${dayOf(new Date(1000 * time))} ${clock(new Date(1000 * time))}`;
  return typeof time === "string" ? time : `${time.year}-${twoDigits(time.month)}-${twoDigits(time.day)}`;
}
function tickOf(time, kind) {
  if (typeof time !== "number") return kind === 0 ? String(time.year ?? time.slice(0, 4)) : momentOf(time).slice(5);
  const at = new Date(1000 * time);
  return kind < 3 ? `${dayOf(at)} ${clock(at)}` : clock(at);
}

function look() {
  return {
    layout: {
      attributionLogo: false,
      background: { color: colour("card") },
      textColor: colour("quiet"),
      fontFamily: getComputedStyle(document.body).fontFamily,
    },
    grid: { vertLines: { color: colour("line") }, horzLines: { color: colour("line") } },
    rightPriceScale: { borderColor: colour("line") },
    timeScale: { borderColor: colour("line") },
  };
}

function made(place) {
  const chart = LightweightCharts.createChart(place, {
    ...look(),
    autoSize: true,
    timeScale: { ...look().timeScale, rightOffset: place.clientWidth < 500 ? 24 : 8 },
    localization: { timeFormatter: momentOf },
  });
  chart.applyOptions({ timeScale: { timeVisible: true, secondsVisible: false, tickMarkFormatter: tickOf } });
  return chart;
}

const dark = matchMedia("(prefers-color-scheme: dark)");
const whenColoursChange = (draw) => dark.addEventListener("change", draw);

// The curve of the book

for (const place of document.querySelectorAll("[data-curve]")) {
  const chart = made(place);
  chart.applyOptions({ handleScroll: false, handleScale: false, timeScale: { rightOffset: 0, tickMarkFormatter: (time) => dayOf(new Date(1000 * time)) } });
  const series = chart.addSeries(LightweightCharts.BaselineSeries, { baseValue: { type: "price", price: 0 }, lineWidth: 2 });
  const dress = () => {
    const [gain, loss] = [colour("buy-text"), colour("sell-text")];
    chart.applyOptions(look());
    series.applyOptions({
      topLineColor: gain, topFillColor1: `${gain}55`, topFillColor2: `${gain}11`,
      bottomLineColor: loss, bottomFillColor1: `${loss}11`, bottomFillColor2: `${loss}55`,
    });
  };
  dress();
  whenColoursChange(dress);
  series.setData(JSON.parse(place.dataset.curve).map(([time, value]) => ({ time, value })));
  chart.timeScale().fitContent();
}

// The live chart

const EIGHTHS = ["", "1", "2", "3", "5", "6", "7", "8"];
function in32nds(price) {
  const parts = Math.round(Math.abs(price) * 256);
  const [points, rest] = [Math.floor(parts / 256), parts % 256];
  return `${price < 0 ? "-" : ""}${points}'${twoDigits(rest >> 3)}${EIGHTHS[rest & 7]}`;
}

function formatOf(data) {
  const minMove = data.tick ?? 0.01;
  if (data.in32nds) return { type: "custom", minMove, formatter: in32nds };
  return { type: "price", minMove, precision: Math.min(10, (minMove.toFixed(10).replace(/0+$/, "").split(".")[1] ?? "").length) };
}

class LiveChart {
  constructor(place) {
    this.place = place;
    place.hidden = false;
    this.chart = made(place);
    this.volume = this.chart.addSeries(LightweightCharts.HistogramSeries, { priceFormat: { type: "volume" }, priceScaleId: "", priceLineVisible: false, lastValueVisible: false });
    this.volume.priceScale().applyOptions({ scaleMargins: { top: 0.84, bottom: 0 } });
    this.candles = this.chart.addSeries(LightweightCharts.CandlestickSeries, { borderVisible: false, priceLineVisible: false, lastValueVisible: false });
    this.candles.priceScale().applyOptions({ scaleMargins: { top: 0.06, bottom: 0.2 } });
    this.fills = LightweightCharts.createSeriesMarkers(this.candles, []);
    this.lines = [];
    this.title = null;
    whenColoursChange(() => this.data && this.draw(this.data));
    place.addEventListener("keydown", (event) => this.press(event));
  }

  draw(data) {
    this.data = data;
    const [up, down] = [colour("buy-text"), colour("sell-text")];
    this.chart.applyOptions(look());
    this.candles.applyOptions({ upColor: up, wickUpColor: up, downColor: down, wickDownColor: down, priceFormat: formatOf(data) });
    this.candles.setData(data.bars.map(([time, open, high, low, close]) => ({ time, open, high, low, close })));
    this.volume.setData(data.bars.map(([time, , , , , value, isUp]) => ({ time, value, color: `${isUp ? up : down}66` })));
    for (const line of this.lines) this.candles.removePriceLine(line);
    this.lines = data.marks.map((mark) => this.candles.createPriceLine(this.lineOf(mark)));
    this.fills.setMarkers(data.fills.map((fill) => this.wedgeOf(fill)));
    if (this.title !== data.title) this.chart.timeScale().fitContent();
    this.title = data.title;
  }

  lineOf({ kind, price, sign, words }) {
    const color = kind === "last" ? colour("quiet") : kind === "position" ? colour("caution-edge") : colour(sign > 0 ? "buy" : "sell");
    const lineStyle = { last: LineStyle.Dotted, position: LineStyle.Solid, order: LineStyle.Dashed }[kind];
    return { price, color, lineStyle, lineWidth: 1, axisLabelVisible: true, title: words };
  }

  wedgeOf({ time, price, sign, quantity }) {
    const [position, shape, color] = sign > 0 ? ["atPriceBottom", "arrowUp", colour("buy-text")] : ["atPriceTop", "arrowDown", colour("sell-text")];
    return { time, price, position, shape, color, text: `${sign > 0 ? "B" : "S"} ${quantity}` };
  }

  press(event) {
    const scale = this.chart.timeScale();
    const range = scale.getVisibleLogicalRange();
    if (!range) return;
    const width = range.to - range.from;
    const moved = { ArrowLeft: -width / 8, ArrowRight: width / 8 }[event.key];
    const grown = { "+": -width / 8, "-": width / 8 }[event.key];
    if (moved !== undefined) scale.setVisibleLogicalRange({ from: range.from + moved, to: range.to + moved });
    else if (grown !== undefined) scale.setVisibleLogicalRange({ from: range.from - grown, to: range.to });
    else if (event.key === "Home") scale.fitContent();
    else return;
    event.preventDefault();
  }
}

const place = document.getElementById("live-chart");
if (place) {
  const live = new LiveChart(place);
  const words = document.getElementById("chart-words");
  const failed = document.getElementById("chart-failure");
  let next;
  // Nobody looks at a page that is hidden: it asks for nothing.
  const follow = async () => {
    clearTimeout(next);
    if (document.hidden) return;
    const answer = await fetched(place.dataset.chart);
    if (answer?.status === 403) return location.reload();
    const data = await answer?.json().catch(() => null);
    if (data) {
      failed.hidden = !data.failure;
      failed.textContent = data.failure ?? "";
      if (data.bars) {
        live.draw(data);
        words.textContent = data.lines.join("\n");
      }
    }
    next = setTimeout(follow, 1000 * place.dataset.every);
  };
  document.addEventListener("visibilitychange", () => document.hidden || follow());
  follow();
}
