() => {
  // All visible text whose contrast with what lies behind it is below 4.5, and fields without a name.
  const canvas = Object.assign(document.createElement("canvas"), { width: 1, height: 1 });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const seen = (colours) => {
    context.clearRect(0, 0, 1, 1);
    for (const colour of colours) {
      context.fillStyle = colour;
      context.fillRect(0, 0, 1, 1);
    }
    return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const linear = (part) => (part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
  const light = ([red, green, blue]) => 0.2126 * linear(red / 255) + 0.7152 * linear(green / 255) + 0.0722 * linear(blue / 255);
  const behind = (it) => (it ? [...behind(it.parentElement), getComputedStyle(it).backgroundColor] : ["white"]);
  const contrast = (it) => {
    const [ground, text] = [seen(behind(it)), seen([...behind(it), getComputedStyle(it).color])].map(light);
    return (Math.max(ground, text) + 0.05) / (Math.min(ground, text) + 0.05);
  };
  const hasText = (it) => [...it.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
  const shown = [...document.querySelectorAll("body *")].filter((it) => it.checkVisibility() && !it.disabled && hasText(it));
  const faint = shown.filter((it) => contrast(it) < 4.5).map((it) => `${contrast(it).toFixed(2)} ${it.className}: ${it.textContent}`);
  const fields = [...document.querySelectorAll("input:not([type=hidden])")];
  return [...faint, ...fields.filter((it) => !it.labels.length).map((it) => `no label: ${it.name}`)];
}
