// Light and dark themes: the system's by default.

const NAMES = { system: "System", light: "Light", dark: "Dark" };
const KEY = "ntkspec-theme";
const dark = matchMedia("(prefers-color-scheme: dark)");

/** The stored choice; a page opened as a file may have no storage. */
function remembered() {
  try {
    return localStorage.getItem(KEY) in NAMES ? localStorage.getItem(KEY) : "system";
  } catch {
    return "system";
  }
}

function remember(choice) {
  try {
    localStorage.setItem(KEY, choice);
  } catch {
    // The choice is kept until the page is closed.
  }
}

/** Apply the theme now and on changes, and call `changed` afterwards. */
export function followTheme(button, changed) {
  let choice = remembered();
  const set = () => {
    const isDark = choice === "system" ? dark.matches : choice === "dark";
    document.documentElement.dataset.theme = isDark ? "dark" : "light";
    button.textContent = `Theme: ${NAMES[choice]}`;
    changed();
  };
  button.addEventListener("click", () => {
    const names = Object.keys(NAMES);
    choice = names[(names.indexOf(choice) + 1) % names.length];
    remember(choice);
    set();
  });
  dark.addEventListener("change", set);
  set();
}

/** The colours of the style sheet, for the charts. */
export function colors() {
  const style = getComputedStyle(document.documentElement);
  const read = (name) => style.getPropertyValue(`--${name}`).trim();
  const curves = Array.from({ length: 7 }, (_, n) => read(`curve-${n}`));
  return {
    text: read("text"), muted: read("muted"), grid: read("grid"), axis: read("axis"),
    card: read("card"), mark: read("mark"), font: read("font"), curves,
  };
}
