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

/** Apply the theme now and on changes, of which `changed` is told. */
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
