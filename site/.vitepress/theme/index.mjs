import Theme from "vitepress/theme-without-fonts";
import LiveFigure from "./LiveFigure.vue";
import "./site.css";

export default {
  extends: Theme,
  enhanceApp({ app }) {
    app.component("LiveFigure", LiveFigure);
  },
};
