import { render } from "preact";
import { App } from "./app";
import { interceptLinks } from "./lib/router";
import { refresh } from "./lib/session";
import "./style/index.css";

document.addEventListener("click", interceptLinks);
void refresh();
render(<App />, document.getElementById("app")!);
