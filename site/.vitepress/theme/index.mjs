import { useRoute } from "vitepress";
import Theme from "vitepress/theme-without-fonts";
import { nextTick, onMounted, watch } from "vue";
import LiveFigure from "./LiveFigure.vue";
import "./site.css";

/** What scrolls is reached by the keyboard too. */
function reachScrolling() {
  for (const wide of document.querySelectorAll(".vp-doc table, .vp-doc mjx-container[display], .vp-doc .cell-output"))
    wide.tabIndex = 0;
}

export default {
  extends: Theme,
  enhanceApp({ app }) {
    app.component("LiveFigure", LiveFigure);
  },
  setup() {
    const route = useRoute();
    onMounted(reachScrolling);
    watch(
      () => route.path,
      () => nextTick(reachScrolling),
    );
  },
};
