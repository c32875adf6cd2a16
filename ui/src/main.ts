import { mount } from "svelte";
import App from "./App.svelte";
import "./page.css";

const target = document.getElementById("app");
if (!target) throw new Error("index.html has an #app");
mount(App, { target });
