// Where `/api` wants a token: asked for once, kept in this tab's session and nowhere else.

import { h, render } from "../dom.js";
import { hasToken, setToken } from "../api.js";

export function tokenForm(container, { wasRefused, retry }) {
  const submit = (event) => {
    event.preventDefault();
    setToken(new FormData(event.target).get("token").trim());
    retry();
  };
  render(container, h("form", { class: "notice token", key: "token", on: { submit } },
    h("h2", null, "This monitor asks for its API token"),
    h("p", null, "It is the value of API_TOKEN in the monitor’s settings. It is kept until this tab is closed, and goes to this server only."),
    h("label", { for: "token" }, "API token"),
    h("div", { class: "token-line" },
      h("input", { id: "token", name: "token", type: "password", required: true, autocomplete: "off", spellcheck: "false", "aria-describedby": wasRefused && hasToken() ? "token-refused" : null }),
      h("button", { type: "submit", class: "primary" }, "Show the dashboard")),
    wasRefused && hasToken() && h("p", { id: "token-refused", class: "refused", role: "alert" }, "The monitor refused this token. Check that it is the whole value, without quotes.")));
}
