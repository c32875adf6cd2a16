// Before the first paint, so that a dark page never flashes white. Not inline: the CSP forbids it.
try {
  const theme = localStorage.getItem("farhub.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // Storage is switched off: the system's theme it is.
}
